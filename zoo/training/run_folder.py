"""The names of the files in a training run's folder, for those who write it and who publish it."""

from zoo.data.splits import ABOUT  # what the images were, and which were held out
from zoo.weights.model_file import WEIGHTS  # the averaged weights

__all__ = ["ABOUT", "CHECKPOINT", "CURVE", "RECIPE", "WEIGHTS"]

CHECKPOINT = "checkpoint.pt"  # all that resuming needs
CURVE = "curve.csv"  # a row an epoch
RECIPE = "recipe.toml"  # what was run
