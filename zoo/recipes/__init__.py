"""Recipes: what trains a model, as data that is read, checked and written without torch."""

from zoo.recipes.bounds import check
from zoo.recipes.finetune import finetune_recipe
from zoo.recipes.read import parse_recipe, read_recipe
from zoo.recipes.recipe import Recipe
from zoo.recipes.staged import StagedRecipe, load_recipe, read_staged, recipe_of
from zoo.recipes.tables import Augment, Data, Distill, ImageSettings, Optimizer, Schedule
from zoo.recipes.toml_text import to_toml

__all__ = [
    "Augment", "Data", "Distill", "ImageSettings", "Optimizer", "Recipe", "Schedule",
    "StagedRecipe", "check", "finetune_recipe", "load_recipe", "parse_recipe", "read_recipe",
    "read_staged", "recipe_of", "to_toml",
]  # fmt: skip
