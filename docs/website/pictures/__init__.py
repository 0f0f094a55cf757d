"""What a mechanism does to a photograph.

`features` makes a map of a photograph, `effects` runs a mechanism on it, `colours` paints what came
out, with a scale.
"""
