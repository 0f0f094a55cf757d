"""What is written into the boxes of a drawing."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

SIGNS = {
    "mul": "×", "__mul__": "×", "__rmul__": "×", "mul_": "×", "add": "+", "__add__": "+",
    "__radd__": "+", "add_": "+", "sub": "−", "__sub__": "−", "__rsub__": "1 − ·", "rsub": "1 − ·",
    "sub_": "−", "div": "÷", "__truediv__": "÷", "div_": "÷", "true_divide": "÷",
    "__rtruediv__": "1 ÷ ·", "matmul": "matrix product", "bmm": "matrix product",
    "__matmul__": "matrix product", "baddbmm": "matrix product, +", "cat": "concatenate",
    "__pow__": "power", "pow": "power", "square": "square", "neg": "−", "__neg__": "−",
    "scaled_dot_product_attention": "softmax attention", "adaptive_avg_pool2d": "average pool",
    "max_pool2d": "max pool", "avg_pool2d": "average pool", "amax": "maximum", "amin": "minimum",
    "clamp_min": "clamp", "interpolate": "resize", "chunk": "split", "tensor_split": "split",
    "unbind": "split", "addcmul": "+ ×", "__iadd__": "+", "__imul__": "×", "__itruediv__": "÷",
    "__isub__": "−", "masked_fill": "mask", "where": "choose", "type_as": "",
}  # fmt: skip
SIZES = ("in_channels", "in_features"), ("out_channels", "out_features")


def shape_of(tensor: Tensor) -> str:
    """The shape, without a batch of one: 64 × 8 × 8."""
    shape = list(tensor.shape)
    if len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return " × ".join(map(str, shape)) or "a number"


def label_of(name: str, args: Any, kwargs: Any) -> str:
    """An operation's sign or name; with the number where one of the operands is one."""
    label = SIGNS.get(name, name.strip("_").replace("_", " "))
    numbers = [a for a in args if isinstance(a, int | float) and not isinstance(a, bool)]
    if label in ("×", "+", "−", "÷", "power") and len(args) == 2 and len(numbers) == 1:
        return f"{label} {numbers[0]:.4g}"
    if name == "einsum" and args and isinstance(args[0], str):
        return f"einsum {args[0].replace(' ', '')}"
    return label


def detail_of(module: nn.Module) -> str:
    """The sizes of a layer: 64 → 4, 3 × 3."""
    found = [next((getattr(module, n) for n in names if hasattr(module, n)), None)
             for names in SIZES]  # fmt: skip
    parts = [f"{found[0]} → {found[1]}"] if all(isinstance(n, int) for n in found) else []
    kernel = getattr(module, "kernel_size", None)
    if isinstance(kernel, tuple):
        parts.append(" × ".join(map(str, kernel)))
    groups = getattr(module, "groups", 1)
    if isinstance(groups, int) and groups > 1:
        parts.append(f"{groups} groups")
    return ", ".join(parts)
