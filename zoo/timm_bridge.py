"""The zoo's named models in timm's registry, for timm's own scripts.

After `import zoo.timm_bridge`, `timm.create_model("cbam_resnet50", pretrained=True)` works and
`timm.list_models("*cbam*")` shows it. `python -m zoo.timm_bridge validate.py --model ...` runs a
script of timm's with them, and with any composition that is named by its arguments, by a line of
its `--model-list`, or by a key such as `model:` of its `--config`.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping
from typing import Any

from timm.models import generate_default_cfgs, get_pretrained_cfg, is_model, register_model
from torch import nn

from zoo import names
from zoo.catalogue import weights_of
from zoo.errors import AmbiguousNameError, UnknownNameError, UsageError
from zoo.factory import create_model
from zoo.registry import default_registry
from zoo.targets import resolve
from zoo.timm_arguments import named_models

USAGE = "python -m zoo.timm_bridge SCRIPT [ARGUMENT...]"
EXAMPLE = "python -m zoo.timm_bridge path/to/timm/validate.py --model cbam_resnet50"

default_cfgs: dict[str, Any] = {}


def register(name: str) -> None:
    """Make one model of the zoo known to timm; a name that timm has is left alone."""
    read = names.parse(name, default_registry())
    if is_model(read.name):
        return
    default_cfgs.update(generate_default_cfgs(_configs(read)))

    def entrypoint(pretrained: bool = False, **options: Any) -> nn.Module:
        return _create(read.name, pretrained, **options)

    entrypoint.__name__ = entrypoint.__qualname__ = read.name
    entrypoint.__doc__ = f"{read.name} of the zoo; see `zoo info {read.name}`."
    register_model(entrypoint)


def register_all() -> None:
    """Make every named model known to timm."""
    for name in default_registry().models:
        register(name)


def _create(
    name: str,
    pretrained: bool,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Mapping[str, Any] | None = None,
    cache_dir: object = None,
    pretrained_model_args: object = None,
    **options: Any,
) -> nn.Module:
    """timm's call as the zoo's: a tag, a Hub repository or a file say which weights."""
    if not pretrained:
        return create_model(name, **options)
    if isinstance(pretrained_cfg, str):
        return create_model(f"{name}.{pretrained_cfg}", pretrained=True, **options)
    config = pretrained_cfg.to_dict() if hasattr(pretrained_cfg, "to_dict") else pretrained_cfg
    config = {**(config or {}), **(pretrained_cfg_overlay or {})}
    if config.get("file"):
        return create_model(name, weights=os.fspath(config["file"]), **options)
    if config.get("hf_hub_id") and config.get("source") == "hf-hub":
        return create_model(name, weights=f"hf-hub:{config['hf_hub_id']}", **options)
    return create_model(name, pretrained=True, **options)


def _configs(read: names.ModelName) -> dict[str, Any]:
    """timm's settings of a model, one for each tag of weights that there are."""
    base = _settings(read)
    rows: dict[str, Any] = {}
    for weights in weights_of(read.name, default_registry()):
        if weights.kind != "unpublished":
            row = {**base, **weights.input, "num_classes": weights.num_classes}
            row["hf_hub_id"] = weights.repository or f"bundled/{read.name}"
            rows[f"{read.name}.{weights.tag}"] = row
    return rows or {read.name: base}


def _settings(read: names.ModelName) -> dict[str, Any]:
    spec = read.spec
    backbone = spec.backbone if spec else read.backbone
    config = get_pretrained_cfg(backbone, allow_unregistered=True) if backbone else None
    settings = config.to_dict() if config is not None else {}
    for key in ("url", "hf_hub_id", "hf_hub_filename", "file", "architecture", "tag"):
        settings.pop(key, None)
    if _is_tied_to_size(read):
        settings["fixed_input_size"] = True
    return {**settings, **(dict(spec.input) if spec else {})}


def _is_tied_to_size(read: names.ModelName) -> bool:
    """Whether the attention takes maps of the size alone that it was built for."""
    registry = default_registry()
    named = registry.attentions.get(read.spec.attention) if read.spec else None
    attention = read.attention or named
    if attention is None or not attention.needs_size:
        return False
    return not getattr(resolve(attention.target, registry.owner(attention)), "any_size", False)


def main(arguments: list[str]) -> None:
    """Run a script with the zoo's models: `python -m zoo.timm_bridge SCRIPT [ARGUMENT...]`."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(f"usage: {USAGE}\n\n{__doc__}")
        return
    if not arguments or not os.path.isfile(arguments[0]):
        raise UsageError(
            f"no script {arguments[0]!r}" if arguments else "no script is named", remedy=EXAMPLE
        )
    for name in named_models(arguments[1:]):
        try:
            register(name)
        except (UnknownNameError, AmbiguousNameError):
            continue
    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    runpy.run_path(arguments[0], run_name="__main__")


register_all()

if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        sys.exit(f"error: {error}")
