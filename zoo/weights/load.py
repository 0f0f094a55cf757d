"""The one place where weights reach a model. They are checked against it, then assigned, not
copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from timm.models import load_pretrained
from torch import Tensor, nn

from zoo.errors import WeightsMismatchError, ZooError
from zoo.weights import safetensors_file
from zoo.weights.checkpoint_file import without_prefix
from zoo.weights.tensor_facts import FORM_KEYS, classifier_keys
from zoo.weights.timm_loading import Loading, State
from zoo.weights.verified_file import VerifiedFile


class _Loaded(NamedTuple):
    """What timm's `load_pretrained` looks at; `_check` has already refused anything else."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def read(file: VerifiedFile) -> State:
    """The tensors of a verified file, by the names in it. It raises as `safetensors_file` does."""
    header = safetensors_file.inspect(file)
    return safetensors_file.tensors(file, header, copied=_to_align(header.shapes))


def named_as_in(model: nn.Module, state: State, loading: Loading, where: str) -> State:
    """The state under the names of the model, by the key filter that timm has for the architecture.

    What a wrapper put before every key (`module.`, `_orig_mod.`, ...) is taken off first.

    Raises:
        WeightsMismatchError: the filter cannot read these tensors.
    """
    bare, _ = without_prefix(state, model.state_dict())
    try:
        return dict(loading.filtered(dict(bare), model))
    except ZooError:
        raise
    except Exception as error:  # a filter of timm's reads what it expects and checks nothing
        raise WeightsMismatchError(
            f"timm's key filter for {type(model).__name__} cannot read the tensors: "
            f"{type(error).__name__}: {error}",
            where=where,
            remedy="the model that the file was saved from, with the same options",
        ) from error


def load(
    model: nn.Module,
    state: State,
    *,
    name: str,
    config: Mapping[str, Any],
    where: str,
    remedy: str,
    strict: bool = True,
) -> list[str]:
    """Load a state: all of its tensors are used and every parameter is defined.

    timm adapts what may differ: the first convolution to another number of input channels. The
    classifier is dropped if the number of classes is another.

    Args:
        name: the name of the model, for messages.
        where: the file, for messages.
        remedy: what else to try, for messages.
        config: what the file was made for, in timm's names (`num_classes`, `input_size`,
            `classifier`, ...).
        strict: whether tensors that the model does not have are refused.

    Returns:
        The paths of the modules that no tensor defined. They start anew, as a new classifier does.

    Raises:
        WeightsMismatchError: keys are left over or missing; the message names them.
    """
    misfits = _misfits(model, state, config, strict)
    if any(misfits.values()):
        raise _mismatch(misfits, name, where, remedy)
    wanted = model.state_dict()
    final = {k: _like(v, wanted[k]) for k, v in state.items() if k in wanted}
    _assign(model, final, config)
    return _reset_rest(model, final, where)


def _assign(model: nn.Module, state: State, config: Mapping[str, Any]) -> None:
    """timm's own adaptation of the state, and assignment in place of its copying."""
    channels = config["input_size"][0]
    model.load_state_dict = partial(_take, model)  # type: ignore[method-assign]
    try:
        load_pretrained(
            model,
            pretrained_cfg={**config, "state_dict": state},
            num_classes=getattr(model, "num_classes", config["num_classes"]),
            in_chans=getattr(model, "in_chans", channels),
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


def _misfits(
    model: nn.Module, state: State, config: Mapping[str, Any], strict: bool
) -> dict[str, list[str]]:
    """Keys too many or too few but the classifier's, and unequal shapes, by what is wrong."""
    wanted = model.state_dict()
    classifier = classifier_keys(config["classifier"], wanted.keys() | state.keys())
    free = classifier if getattr(model, "num_classes", None) != config["num_classes"] else set()
    missing = [k for k in wanted if k not in state and k not in free and not _is_counter(k)]
    extra = [k for k in state if k not in wanted and k not in free] if strict else []
    shapes = _wrong_shapes(state, wanted, free | _first_convolutions(config))
    return {"missing": missing, "not of this model": extra, "of another shape": shapes}


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
    misfits: Mapping[str, list[str]], name: str, where: str, remedy: str
) -> WeightsMismatchError:
    parts = [f"{len(keys)} {what} ({_some(keys)})" for what, keys in misfits.items() if keys]
    for mark, form in FORM_KEYS.items():
        if any(key.endswith(f".{mark}") for key in misfits["not of this model"]):
            remedy = f"they were trained with insertion={form!r}"
        elif any(key.endswith(f".{mark}") for key in misfits["missing"]):
            remedy = f"the model was built with insertion={form!r}, they were not"
    return WeightsMismatchError(
        f"the tensors are not those of {name}: {'; '.join(parts)}", where=where, remedy=remedy
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _first_convolutions(config: Mapping[str, Any]) -> set[str]:
    names = config.get("first_conv") or ()
    return {f"{name}.weight" for name in ((names,) if isinstance(names, str) else names)}


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _reset_rest(model: nn.Module, loaded: Mapping[str, Tensor], where: str) -> list[str]:
    """Give every parameter that no tensor defined (a new classifier) its layer's own start."""
    undefined = [name for name, _ in model.named_parameters() if name not in loaded]
    paths = list(dict.fromkeys(name.rpartition(".")[0] for name in undefined))
    for path in paths:
        reset = getattr(model.get_submodule(path), "reset_parameters", None)
        if reset is None:
            raise WeightsMismatchError(f"{path} is left undefined by the weights", where=where)
        reset()
    return paths
