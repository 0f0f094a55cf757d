"""The named models of the zoo in timm's own registry, for timm's own scripts.

After `import zoo.timm_bridge`, `timm.create_model("cbam_resnet50", pretrained=True)` works, and
`timm.list_models("*cbam*")` shows the model. `python -m zoo.timm_bridge validate.py --model ...`
runs a script of timm with these models, and with any `<attention>_<backbone>` that is named by the
script's arguments, by a line of its `--model-list`, or by a key such as `model:` of its `--config`.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping
from typing import Any

from timm.models import generate_default_cfgs, get_pretrained_cfg, is_model, register_model
from torch import nn

from zoo.build.create import create_model
from zoo.build.plan import make_plan
from zoo.build.timm_arguments import named_models
from zoo.errors import AmbiguousNameError, UnknownNameError, UsageError, WeightsMismatchError
from zoo.registry import default_registry, names
from zoo.registry.catalogue import weights_of
from zoo.registry.targets import resolve
from zoo.runtime.model_record import record_of
from zoo.weights.model_file import arguments_of, read_statement
from zoo.weights.tensor_facts import form_of

USAGE = """\
Usage: python -m zoo.timm_bridge SCRIPT [ARGUMENT...]

Run a script of timm's (train.py, validate.py, inference.py, ...) with the models of the zoo: those
with names of their own, and any composition that an argument names.

    python -m zoo.timm_bridge validate.py --model cbam_resnet50 --data-dir imagenet
    python -m zoo.timm_bridge train.py --help      the options of the script"""
EXAMPLE = "python -m zoo.timm_bridge path/to/timm/validate.py --model cbam_resnet50"

default_cfgs: dict[str, Any] = {}


def register(name: str) -> None:
    """Make one model of the zoo known to timm. A name that timm has already is left alone."""
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
        return _reformable(create_model(name, **options), options)
    if isinstance(pretrained_cfg, str):
        return create_model(f"{name}.{pretrained_cfg}", pretrained=True, **options)
    config = pretrained_cfg.to_dict() if hasattr(pretrained_cfg, "to_dict") else pretrained_cfg
    config = {**(config or {}), **(pretrained_cfg_overlay or {})}
    if config.get("file"):
        return _from_file(name, os.fspath(config["file"]), options)
    if config.get("hf_hub_id") and config.get("source") == "hf-hub":
        return create_model(name, weights=f"hf-hub:{config['hf_hub_id']}", **options)
    return create_model(name, pretrained=True, **options)


def _from_file(name: str, file: str, options: Mapping[str, Any]) -> nn.Module:
    """timm's `--pretrained-path`: weights of the plain backbone, or of the model itself."""
    plan, statement = make_plan(name, default_registry(), **options), read_statement(file)
    if plan.attention is None or (statement and statement.name == plan.name):
        return create_model(name, weights=file, **options)
    try:
        return create_model(name, backbone_weights=file, **options)
    except WeightsMismatchError as error:
        try:
            return create_model(name, weights=file, **options)
        except WeightsMismatchError:
            raise error from None


def _reformable(model: nn.Module, options: Mapping[str, Any]) -> nn.Module:
    """A model that takes the form of insertion of the first checkpoint that is loaded into it."""
    record = record_of(model)
    if record is not None and record.attention and "insertion" not in options:
        model.register_load_state_dict_pre_hook(_take_form)
    return model


def _take_form(model: nn.Module, state: Mapping[str, Any], prefix: str, *_: object) -> None:
    """A checkpoint of a warm start has tensors that only its form of insertion has.

    timm's scripts build the model anew, in its plain form, and then load: so the modules are
    exchanged for those of the checkpoint's form before they are filled.
    """
    own = {key.removeprefix(prefix): value for key, value in state.items()}
    record, form = record_of(model), form_of(own, model)
    if record is None or form in (None, record.insertion):
        return
    tensor = next(model.parameters())
    fresh = create_model(record.name, **{**arguments_of(model), "insertion": form})
    fresh.to(tensor.device, tensor.dtype).train(model.training)
    _hand_over(model, fresh)
    for kept in ("_modules", "_parameters", "_buffers", "zoo"):
        vars(model)[kept] = vars(fresh)[kept]


def _hand_over(model: nn.Module, fresh: nn.Module) -> None:
    """Give the fresh model the parameters of the other, which an optimizer may know already.

    The exact form has the same parameters in the same order. Another form has more of them, which
    an optimizer refuses when it is resumed.
    """
    own = [p for _, p in model.named_parameters(remove_duplicate=False)]
    new = list(fresh.named_parameters(remove_duplicate=False))
    if [p.shape for p in own] != [p.shape for _, p in new]:
        return
    for parameter, (path, _) in zip(own, new, strict=True):
        owner, _, name = path.rpartition(".")
        setattr(fresh.get_submodule(owner), name, parameter)


def _configs(read: names.ModelName) -> dict[str, Any]:
    """timm's settings of a model, one for each tag; those of a warm start if it has no file."""
    base = _settings(read)
    stated = weights_of(read.name, default_registry())
    if all(weights.kind == "unpublished" for weights in stated):
        return _warm_start(read, base)
    rows: dict[str, Any] = {}
    for weights in stated:  # timm's default is the first, also where there is no file of it yet
        row = {**base, **weights.input, "num_classes": weights.num_classes}
        if weights.kind != "unpublished":
            row["hf_hub_id"] = weights.repository or f"bundled/{read.name}"
        rows[f"{read.name}.{weights.tag}"] = row
    return rows


def _warm_start(read: names.ModelName, base: dict[str, Any]) -> dict[str, Any]:
    """Without weights of its own: the tag that the model starts warm from, if its backbone has any.

    It is the backbone's default one, as in `zoo.build.plan`.
    """
    config = _backbone_config(read)
    if config is None or not config.hf_hub_id:
        return {read.name: base}
    return {f"{read.name}.{config.tag}": {**base, "hf_hub_id": config.hf_hub_id}}


def _settings(read: names.ModelName) -> dict[str, Any]:
    config = _backbone_config(read)
    settings = config.to_dict() if config is not None else {}
    for key in ("url", "hf_hub_id", "hf_hub_filename", "file", "architecture", "tag"):
        settings.pop(key, None)
    if _is_tied_to_size(read):
        settings["fixed_input_size"] = True
    return {**settings, **(dict(read.spec.input) if read.spec else {})}


def _backbone_config(read: names.ModelName) -> Any:
    backbone = read.spec.backbone if read.spec else read.backbone
    return get_pretrained_cfg(backbone, allow_unregistered=True) if backbone else None


def _is_tied_to_size(read: names.ModelName) -> bool:
    """Whether the attention takes maps of the size alone that it was built for."""
    registry = default_registry()
    named = registry.attentions.get(read.spec.attention) if read.spec else None
    attention = read.attention or named
    if attention is None or not attention.insertion.needs_size:
        return False
    return not getattr(resolve(attention.target, registry.owner(attention)), "any_size", False)


def main(arguments: list[str]) -> None:
    """Run a script with the zoo's models: `python -m zoo.timm_bridge SCRIPT [ARGUMENT...]`."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE)
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
