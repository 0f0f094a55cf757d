"""The one place where weights reach a model: checked against it, then assigned, not copied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from timm.models import load_pretrained, model_entrypoint
from torch import Tensor, nn

from zoo import safetensors_file
from zoo.errors import WeightsMismatchError
from zoo.verified_file import VerifiedFile

State = dict[str, Tensor]


class _Loaded(NamedTuple):
    """What timm's `load_pretrained` looks at; `_checked` has already refused anything else."""

    missing_keys: list[str]
    unexpected_keys: list[str]


_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "checkpoint_filter_fn_classifier")


def load(
    model: nn.Module, file: VerifiedFile, *, name: str, config: Mapping[str, Any],
    architecture: str = "",
) -> None:  # fmt: skip
    """Load a verified file: all of its tensors are used and every parameter is defined.

    timm adapts what may differ: the family's old key names, the first convolution to another
    number of input channels, the classifier dropped if the number of classes is another.

    Args:
        name: of the model, for messages.
        config: what the file was made for, in timm's names (`num_classes`, `input_size`, ...).
        architecture: timm's, for its key filter.

    Raises:
        WeightsMismatchError: names the keys. CorruptWeightsError: see `safetensors_file`.
    """
    header = safetensors_file.inspect(file)
    state = safetensors_file.tensors(file, header, copied=_to_align(header.shapes))
    config = _with_classes(config, model, state)
    config = {**config, "classifier": config.get("classifier") or classifier_names(model)}
    check = partial(
        _checked, family=_family_filter(architecture), config=config, where=(name, file.path)
    )
    final: State = {}
    _assign(model, state, {**config, "state_dict": state}, check, final)
    _reset_rest(model, final, str(file.path))


def _assign(
    model: nn.Module,
    state: State,
    config: dict[str, Any],
    check: Callable[..., State],
    final: State,
) -> None:
    """timm's own adaptation, with our check in its filter and assignment in place of copying."""

    def remember(state: State, model: nn.Module) -> State:
        final.update(check(state, model))
        return final

    model.load_state_dict = partial(_take, model)  # type: ignore[method-assign]
    try:
        load_pretrained(
            model,
            pretrained_cfg=config,
            num_classes=getattr(model, "num_classes", config["num_classes"]),
            in_chans=getattr(model, "in_chans", config["input_size"][0]),
            filter_fn=remember,
        )
    except (RuntimeError, KeyError) as error:
        raise WeightsMismatchError(
            f"the weights do not fit {type(model).__name__}: {error}"
        ) from error
    finally:
        del model.load_state_dict


def _take(model: nn.Module, state: State, strict: bool = True) -> _Loaded:
    """Let each parameter and buffer of the model hold the tensor of its name, without a copy."""
    held = dict(model.named_parameters(remove_duplicate=False))
    held |= dict(model.named_buffers(remove_duplicate=False))
    for name, tensor in state.items():
        held[name].data = tensor
    return _Loaded([], [])


def _checked(
    state: State, model: nn.Module, *, family: Callable[..., State] | None,
    config: Mapping[str, Any], where: tuple[str, object],
) -> State:  # fmt: skip
    """The family's filter, then: no key too many or too few but the classifier's, equal shapes."""
    if family is not None:
        state = family(state, model)
    wanted = model.state_dict()
    classifier = _classifier_keys(model, config, wanted.keys() | state.keys())
    free = classifier if getattr(model, "num_classes", None) != config["num_classes"] else set()
    missing = [k for k in wanted if k not in state and k not in free and not _is_counter(k)]
    extra = [k for k in state if k not in wanted and k not in free]
    shapes = _wrong_shapes(state, wanted, free | _first_convolutions(config))
    if missing or extra or shapes:
        raise _mismatch(missing, extra, shapes, *where)
    kept = {k: v for k, v in state.items() if k in wanted}
    return {k: _like(v, wanted[k]) for k, v in kept.items()}


def _with_classes(config: Mapping[str, Any], model: nn.Module, state: State) -> Mapping[str, Any]:
    """The settings with the file's own number of classes, where nobody has stated it."""
    if config.get("num_classes") is not None:
        return config
    names = config.get("classifier") or classifier_names(model)
    for name in (names,) if isinstance(names, str) else names:
        if f"{name}.weight" in state:
            return {**config, "num_classes": state[f"{name}.weight"].shape[0]}
    return {**config, "num_classes": 0}


def _to_align(shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Tensors to copy: BLAS sums in another order where memory is not aligned to 64 bytes.

    Mapped tensors are not. Vectors, matrices and kernels with a bias (those of gates, which work on
    pooled vectors) go to BLAS as they are, so they are copied and logits are timm's to the last
    bit; oneDNN reorders the kernels of the large convolutions anyway, so these stay mapped.
    """
    return {
        name
        for name, shape in shapes.items()
        if len(shape) != 4 or f"{name.removesuffix('weight')}bias" in shapes
    }


def _like(tensor: Tensor, model_tensor: Tensor) -> Tensor:
    same = tensor.dtype == model_tensor.dtype and tensor.device == model_tensor.device
    return tensor if same else tensor.to(model_tensor)


def _wrong_shapes(state: State, wanted: Mapping[str, Tensor], free: set[str]) -> list[str]:
    return [
        f"{key} is {tuple(tensor.shape)}, not {tuple(wanted[key].shape)}"
        for key, tensor in state.items()
        if key in wanted and key not in free and tensor.shape != wanted[key].shape
    ]


def _mismatch(
    missing: list[str], extra: list[str], shapes: list[str], name: str, where: object
) -> WeightsMismatchError:
    told = (("missing", missing), ("not of this model", extra), ("of another shape", shapes))
    parts = [f"{len(found)} {what} ({_some(found)})" for what, found in told if found]
    remedy = ""
    marks = {"gate_scale": "exact", "alpha": "residual"}
    for mark, form in marks.items():
        if any(key.endswith(f".{mark}") for key in extra):
            remedy = f"they were trained with insertion={form!r}"
        elif any(key.endswith(f".{mark}") for key in missing):
            remedy = f"the model was built with insertion={form!r}, they were not"
    return WeightsMismatchError(
        f"the tensors are not those of {name}: {'; '.join(parts)}",
        where=str(where),
        remedy=remedy or "the model that the file was saved from, with the same options",
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _classifier_keys(model: nn.Module, config: Mapping[str, Any], keys: Any) -> set[str]:
    names = config.get("classifier") or classifier_names(model)
    names = (names,) if isinstance(names, str) else tuple(names)
    return {key for key in keys if any(key.startswith(f"{name}.") for name in names)}


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Paths of the module that `get_classifier()` gives."""
    get = getattr(model, "get_classifier", None)
    head = get() if get else None
    return tuple(name for name, module in model.named_modules() if module is head)


def _first_convolutions(config: Mapping[str, Any]) -> set[str]:
    names = config.get("first_conv") or ()
    return {f"{name}.weight" for name in ((names,) if isinstance(names, str) else names)}


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _reset_rest(model: nn.Module, loaded: Mapping[str, Tensor], where: str) -> None:
    """Give every parameter that no tensor defined (a new classifier) its layer's own start."""
    undefined = [name for name, _ in model.named_parameters() if name not in loaded]
    for path in dict.fromkeys(name.rpartition(".")[0] for name in undefined):
        reset = getattr(model.get_submodule(path), "reset_parameters", None)
        if reset is None:
            raise WeightsMismatchError(f"{path} is left undefined by the weights", where=where)
        reset()


def _family_filter(architecture: str) -> Callable[..., State] | None:
    if not architecture:
        return None
    module = sys.modules[model_entrypoint(architecture).__module__]
    return next((getattr(module, name) for name in _FILTERS if hasattr(module, name)), None)
