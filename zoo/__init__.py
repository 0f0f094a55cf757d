"""zoo: a plugin-registry model zoo of visual attention.

`zoo.create_model("cbam_resnet50", pretrained=True)` gives a timm model. Importing this package,
listing names and loading plugins import neither torch nor timm (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.version import __version__

if TYPE_CHECKING:
    from zoo import errors, testing
    from zoo.catalogue import (
        attention_info,
        list_attentions,
        list_backbones,
        list_models,
        model_info,
    )
    from zoo.errors import ZooError
    from zoo.factory import create_attention, create_model
    from zoo.hookspecs import hookimpl
    from zoo.model_file import save_model
    from zoo.registry import Registry
    from zoo.specs import (
        AttentionSpec,
        BackboneSpec,
        DatasetSpec,
        ModelSpec,
        Paper,
        WeightsSpec,
    )

_HOMES = {
    "attention_info": "zoo.catalogue",
    "list_attentions": "zoo.catalogue",
    "list_backbones": "zoo.catalogue",
    "list_models": "zoo.catalogue",
    "model_info": "zoo.catalogue",
    "ZooError": "zoo.errors",
    "create_attention": "zoo.factory",
    "create_model": "zoo.factory",
    "hookimpl": "zoo.hookspecs",
    "save_model": "zoo.model_file",
    "Registry": "zoo.registry",
    "AttentionSpec": "zoo.specs",
    "BackboneSpec": "zoo.specs",
    "DatasetSpec": "zoo.specs",
    "ModelSpec": "zoo.specs",
    "Paper": "zoo.specs",
    "WeightsSpec": "zoo.specs",
}

_MODULES = ("errors", "testing")

__all__ = [
    "AttentionSpec",
    "BackboneSpec",
    "DatasetSpec",
    "ModelSpec",
    "Paper",
    "Registry",
    "WeightsSpec",
    "ZooError",
    "__version__",
    "attention_info",
    "create_attention",
    "create_model",
    "errors",
    "hookimpl",
    "list_attentions",
    "list_backbones",
    "list_models",
    "model_info",
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
