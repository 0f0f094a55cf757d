"""What a plugin states: frozen data, without torch.

A spec names a target, `"package.module:attribute"`, that is imported when it is first built.
"""

from zoo.registry.specs.attention import CONTRACTS, MAPS, ROLES, AttentionSpec, Insertion, Trial
from zoo.registry.specs.model import BackboneSpec, DatasetSpec, ModelSpec
from zoo.registry.specs.options import OptionNames, Width
from zoo.registry.specs.provenance import KeyMap, Paper, Provenance
from zoo.registry.specs.recipe import RecipeSpec
from zoo.registry.specs.weights import Form, WeightsSpec

__all__ = [
    "CONTRACTS",
    "MAPS",
    "ROLES",
    "AttentionSpec",
    "BackboneSpec",
    "DatasetSpec",
    "Form",
    "Insertion",
    "KeyMap",
    "ModelSpec",
    "OptionNames",
    "Paper",
    "Provenance",
    "RecipeSpec",
    "Trial",
    "WeightsSpec",
    "Width",
]
