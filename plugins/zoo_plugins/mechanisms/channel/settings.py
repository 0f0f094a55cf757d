"""Settings of authors' code and of timm that say in other terms what a constructor here takes.

Each function reads the options that were given for one mechanism and returns them as the
constructor has them; those named `..._width` say which C a reduction is of. The specs name them.
Values are checked after reading, so that what is not understood here is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from zoo.sdk import refuse
from zoo_plugins.mechanisms.channel.fca_frequencies import default_size, ranked

Options = Mapping[str, Any]


def fca(options: Options) -> dict[str, Any]:
    """`dct_h` and `dct_w` are `dct_size`; `freq_indices` are the pairs of `frequencies`."""
    found = dict(options)
    sides = (found.pop("dct_h", None), found.pop("dct_w", None))
    if sides != (None, None):
        if None in sides:
            refuse("fca", f"dct_h={sides[0]!r} and dct_w={sides[1]!r} go together", "dct_size=7")
        size = found.setdefault("dct_size", sides)
        if sides != ((size, size) if isinstance(size, int) else tuple(size)):
            _contradict("fca", ("dct_size", size), ("(dct_h, dct_w)", sides))
    indices = found.pop("freq_indices", None)
    if indices is not None:
        name = found.get("frequencies")
        size = found.get("dct_size") or default_size(found.get("feat_size"))
        if name is not None and ranked(name, size) != [tuple(pair) for pair in indices]:
            _contradict("fca", ("freq_sel_method", name), ("freq_indices", indices))
        found["frequencies"] = indices
    return found


def global_context(options: Options) -> dict[str, Any]:
    """timm's `use_attn` is `pooling`; its `fuse_add` and `fuse_scale` are `fusion`."""
    found = dict(options)
    attends = _flag("global_context", "use_attn", found)
    if attends is not None:
        pooling = found.setdefault("pooling", "att" if attends else "avg")
        if (pooling == "att") != attends:
            _contradict("global_context", ("pooling", pooling), ("use_attn", attends))
    adds = _flag("global_context", "fuse_add", found)
    scales = _flag("global_context", "fuse_scale", found)
    if adds is scales is None:
        return found
    chosen = {"channel_add": not scales if adds is None else adds, "channel_mul": bool(scales)}
    fusion = found.setdefault("fusion", [name for name, on in chosen.items() if on])
    for option, name, flag in (
        ("fuse_add", "channel_add", adds),
        ("fuse_scale", "channel_mul", scales),
    ):
        if flag is not None and (name in fusion) != flag:
            _contradict("global_context", ("fusion", fusion), (option, flag))
    return found


def psa(options: Options) -> dict[str, Any]:
    """`num_scales` counts the kernels: the first of 3, 5, 7, 9."""
    found = dict(options)
    count = found.pop("num_scales", None)
    if count is not None:
        kernels = found.setdefault("kernel_size", (3, 5, 7, 9)[:count])
        if len(kernels) != count:
            _contradict("psa", ("kernel_size", kernels), ("num_scales", count))
    return found


def psa_width(options: Options) -> int:
    """The channels of a scale."""
    return options["channels"] // max(1, len(options.get("kernel_size", (3, 5, 7, 9))))


def selective_kernel(options: Options) -> dict[str, Any]:
    """One `kernel_size` may stand for `num_paths` paths, and a `dilation` for each may be given."""
    found = dict(options)
    count, kernels = found.pop("num_paths", None), found.get("kernel_size", (3, 5))
    if isinstance(kernels, int):
        kernels = [kernels] * (count or 2)
    elif count is not None and count != len(kernels):
        _contradict("selective_kernel", ("kernel_size", kernels), ("num_paths", count))
    found["kernel_size"] = kernels
    dilation = found.get("dilation")
    if isinstance(dilation, Sequence):
        spread = [(k - 1) // 2 if found.get("keep_3x3", True) else 1 for k in kernels]
        base = dilation[0] // spread[0] if dilation else 0
        if base < 1 or [base * each for each in spread] != list(dilation):
            what = f"dilation={dilation!r} does not follow from kernel_size={kernels!r}"
            refuse("selective_kernel", what, f"dilation={spread!r}, or a multiple of it")
        found["dilation"] = base
    return found


def split_attention(options: Options) -> dict[str, Any]:
    """`norm` is `norm_layer` by name; timm's `rd_channels` is the hidden width over the radix.

    In the authors' code the convolution has a bias where no norm follows it.
    """
    found = dict(options)
    norm = found.pop("norm", "batch")
    if norm not in ("batch", "none", None):
        refuse("split_attention", f"norm={norm!r} is neither 'batch' nor 'none'")
    if norm != "batch":
        found = {"bias": True, **found, "norm_layer": None}
    share = found.pop("rd_channels", None)
    if share is not None:
        width = share * found.get("radix", 2)
        if found.setdefault("reduced_channels", width) != width:
            pair = ("reduced_channels", found["reduced_channels"]), ("rd_channels", share)
            _contradict("split_attention", *pair)
    return found


def split_attention_width(options: Options) -> int:
    """The channels of all splits, in the number of the input's."""
    return (options.get("in_channels") or options["channels"]) * options.get("radix", 2)


def _flag(mechanism: str, name: str, options: dict[str, Any]) -> bool | None:
    """Take out an option that is True, False, or not given."""
    value = options.pop(name, None)
    if value is not None and not isinstance(value, bool):
        refuse(mechanism, f"{name}={value!r} is not True or False")
    return value


def _contradict(mechanism: str, one: tuple[str, Any], other: tuple[str, Any]) -> NoReturn:
    refuse(
        mechanism,
        f"{one[0]}={one[1]!r} and {other[0]}={other[1]!r} contradict each other",
        f"give one of {one[0]}= and {other[0]}=",
    )
