"""The names of the files in a training run's folder, for those who write it and who publish it."""

CHECKPOINT = "checkpoint.pt"  # all that resuming needs
CURVE = "curve.csv"  # a row an epoch
WEIGHTS = "model.safetensors"  # the averaged weights
RECIPE = "recipe.toml"  # what was run
ABOUT = "data.json"  # the classes, the preprocessing, and which images were held out
