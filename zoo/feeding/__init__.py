"""What a training run takes its batches from: which images, in which order, and changed how.

`opened` finds the images that are trained on and those that are held out. `order` says which images
a step takes. `data` holds them in memory or draws them, `photographs` has worker processes decode
them; either is a `feed`. `augment`, `mixing` and `noise` change what was read.
"""
