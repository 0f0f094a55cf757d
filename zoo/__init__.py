"""zoo: a model zoo of visual attention whose parts are plugins.

`zoo.create_model("cbam_resnet50", pretrained=True)` builds a timm model. Importing this package,
listing names and loading plugins import neither torch nor timm: the names below are imported when
they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.runtime.moved import find_moved
from zoo.runtime.old_names import OLD_NAMES
from zoo.version import PLUGIN_API, __version__

if TYPE_CHECKING:
    from zoo import errors, testing
    from zoo.adapters.load import load_attention
    from zoo.adapters.save import save_attention
    from zoo.build.create import create_attention, create_model
    from zoo.errors import ZooError
    from zoo.evaluation.predict import predict
    from zoo.explain.explaining import explain
    from zoo.export.door import export
    from zoo.hosts.add import add_attention, remove_attention
    from zoo.hosts.freeze import attention_parameters
    from zoo.hosts.rates import parameter_groups
    from zoo.hosts.sites import list_sites
    from zoo.recipes import load_recipe
    from zoo.registry import Registry
    from zoo.registry.catalogue import (
        attention_info,
        list_attentions,
        list_backbones,
        list_models,
        list_recipes,
        model_info,
    )
    from zoo.registry.hookspecs import hookimpl
    from zoo.registry.specs import (
        AttentionSpec,
        BackboneSpec,
        DatasetSpec,
        Insertion,
        ModelSpec,
        OptionNames,
        Paper,
        Provenance,
        RecipeSpec,
        Trial,
        WeightsSpec,
        Width,
    )
    from zoo.weights.model_file import save_model

_HOMES = {
    "attention_info": "zoo.registry.catalogue",
    "list_attentions": "zoo.registry.catalogue",
    "list_backbones": "zoo.registry.catalogue",
    "list_models": "zoo.registry.catalogue",
    "list_recipes": "zoo.registry.catalogue",
    "load_recipe": "zoo.recipes.staged",
    "model_info": "zoo.registry.catalogue",
    "ZooError": "zoo.errors",
    "add_attention": "zoo.hosts.add",
    "remove_attention": "zoo.hosts.add",
    "attention_parameters": "zoo.hosts.freeze",
    "parameter_groups": "zoo.hosts.rates",
    "list_sites": "zoo.hosts.sites",
    "load_attention": "zoo.adapters.load",
    "save_attention": "zoo.adapters.save",
    "create_attention": "zoo.build.create",
    "create_model": "zoo.build.create",
    "predict": "zoo.evaluation.predict",
    "hookimpl": "zoo.registry.hookspecs",
    "save_model": "zoo.weights.model_file",
    "Registry": "zoo.registry",
    "AttentionSpec": "zoo.registry.specs",
    "BackboneSpec": "zoo.registry.specs",
    "DatasetSpec": "zoo.registry.specs",
    "ModelSpec": "zoo.registry.specs",
    "Paper": "zoo.registry.specs",
    "Insertion": "zoo.registry.specs",
    "OptionNames": "zoo.registry.specs",
    "Provenance": "zoo.registry.specs",
    "RecipeSpec": "zoo.registry.specs",
    "Trial": "zoo.registry.specs",
    "Width": "zoo.registry.specs",
    "WeightsSpec": "zoo.registry.specs",
}

_MODULES = ("errors", "explain", "export", "testing")  # `explain` and `export` can be called too

find_moved(OLD_NAMES)

__all__ = [
    "PLUGIN_API",
    "AttentionSpec",
    "BackboneSpec",
    "DatasetSpec",
    "Insertion",
    "ModelSpec",
    "OptionNames",
    "Paper",
    "Provenance",
    "RecipeSpec",
    "Registry",
    "Trial",
    "WeightsSpec",
    "Width",
    "ZooError",
    "__version__",
    "add_attention",
    "attention_info",
    "attention_parameters",
    "create_attention",
    "create_model",
    "errors",
    "export",
    "explain",
    "hookimpl",
    "list_attentions",
    "list_backbones",
    "list_models",
    "list_recipes",
    "list_sites",
    "load_attention",
    "load_recipe",
    "model_info",
    "parameter_groups",
    "predict",
    "remove_attention",
    "save_attention",
    "save_model",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
