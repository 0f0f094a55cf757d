"""Non-local block (Wang, Girshick, Gupta, He, CVPR 2018, arXiv 1711.07971, section 3).

    z_i = BN(W_z y_i) + x_i,   y_i = sum_j f(x_i, x_j) g(x_j)                       (eq. 1, 6)

    embedded_gaussian   f = softmax_j(theta(x_i) . phi(x_j))                        (eq. 3)
    gaussian            f = softmax_j(x_i . x_j)                                    (eq. 2)
    dot                 f = theta(x_i) . phi(x_j) / N                               (eq. 4)
    concat              f = relu(w . [theta(x_i), phi(x_j)]) / N                    (eq. 5)

x, z: (B, C, *size) of 1, 2 or 3 dimensions; theta, phi, g: 1x1 to C/2 channels; N: number of keys.
Parameter names are timm's: t = theta, p = phi, g, z, norm.

`variant="paper"` follows the equations. `official` is the authors' code: logits scaled by
(C/2)^-1/2, and keys taken from a 2x2 max pool of x. `timm`: scaled by C^-1/2; by name
(`zoo.create_attention`) it also has timm's width, C / 8 to a multiple of 8.
With `sub_sample` and not `pool_first`, phi and g are pooled instead of x (a common port's reading).
Softmax over more than 1,024 keys runs in the fused kernel, which holds no N x N weights, and `dot`
is re-associated where that is smaller: theta (phi^T g) / N, linear in the number of positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, refuse, zero_
from zoo.sdk.precision import wide_matmul

NAME = "non_local"
Mode = Literal["embedded_gaussian", "gaussian", "dot", "concat"]
VARIANTS = {  # use_scale, sub_sample, pool_first
    "paper": (False, False, False),
    "official": (True, True, True),
    "timm": (True, False, False),
}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {1: nn.MaxPool1d(2), 2: nn.MaxPool2d(2), 3: nn.MaxPool3d((1, 2, 2))}


class NonLocal(nn.Module):
    """(B, C, H, W) -> the same shape; each position sees all others.

    Args:
        channels: C.
        reduction: C over the inner channels, 2.
        reduced_channels: the inner channels themselves, instead of C / 2.
        dimension: 1, 2 or 3 axes of position.
        mode: of f, as above.
        variant: `paper`, `official` or `timm`: what the next three are unless given.
        use_scale: divide the logits by the root of the inner channels (timm: of C).
        sub_sample: keys and values at half the resolution (of space, not of time).
        pool_first: pool x, rather than phi(x) and g(x).
        bn: norm after W_z, its scale and shift starting at zero.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 2,
        reduced_channels: PositiveInt | None = None,
        dimension: Literal[1, 2, 3] = 2,
        mode: Mode = "embedded_gaussian",
        variant: Literal["paper", "official", "timm"] = "paper",
        use_scale: bool | None = None,
        sub_sample: bool | None = None,
        pool_first: bool | None = None,
        bn: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_rank = dimension + 2
        self.mode = mode
        width = bottleneck_width(channels, reduction, reduced_channels)
        given = (use_scale, sub_sample, pool_first)
        scaled, pooled, first = (
            preset if value is None else value
            for value, preset in zip(given, VARIANTS[variant], strict=True)
        )
        dotted = channels if variant == "timm" or mode == "gaussian" else width
        self.scale = dotted**-0.5 if scaled else 1.0
        self.pool_first = first
        self.pool = POOL[dimension] if pooled else nn.Identity()
        dd = {"device": device, "dtype": dtype}
        conv = CONV[dimension]
        if mode != "gaussian":
            self.t = conv(channels, width, 1, **dd)
            self.p = conv(channels, width, 1, **dd)
        else:
            self.t = self.p = nn.Identity()
        self.g = conv(channels, width, 1, **dd)
        self.concat = nn.Linear(2 * width, 1, bias=False, **dd) if mode == "concat" else None
        self.z = conv(width, channels, 1, **dd)
        self.norm = NORM[dimension](channels, **dd) if bn else nn.Identity()
        self.init_identity()

    def init_identity(self) -> float:
        """Start as x, as published: the norm's scale (without a norm: W_z) is zero; returns 1."""
        zero_(self.z if isinstance(self.norm, nn.Identity) else self.norm)
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = self._project(x)
        if self.mode == "dot":
            y = multiply_through(theta, phi, g)
        elif self.mode == "concat":
            y = self._pairs(theta, phi) @ g
        else:
            y = attend(theta, phi, g, self.scale)
        return x + self.norm(self.z(to_map(y, x)))

    def attention(self, x: Tensor) -> Tensor:
        """The weights f(x_i, x_j) themselves, (B, N queries, N keys); slow."""
        theta, phi, _ = self._project(x)
        if self.mode == "dot":
            return theta @ phi.transpose(1, 2) / phi.shape[1]
        if self.mode == "concat":
            return self._pairs(theta, phi)
        return torch.softmax(theta @ phi.transpose(1, 2) * self.scale, 2)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """theta: (B, N queries, d), phi and g: (B, N keys, d)."""
        keys = self.pool(x) if self.pool_first else x
        phi, g = self.p(keys), self.g(keys)
        if not self.pool_first:
            phi, g = self.pool(phi), self.pool(g)
        return _tokens(self.t(x)), _tokens(phi), _tokens(g)

    def _pairs(self, theta: Tensor, phi: Tensor) -> Tensor:
        """relu(w . [theta_i, phi_j]) / N: w splits into a term of i and a term of j."""
        assert self.concat is not None
        w_theta, w_phi = self.concat.weight.chunk(2, 1)
        logits = theta @ w_theta.t() + (phi @ w_phi.t()).transpose(1, 2)
        return F.relu(logits) / phi.shape[1]


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


@register_notrace_function
def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, small: int = 1024) -> Tensor:
    """softmax(q k^T * scale) v, by the fused kernel where the plain product is not faster.

    That is on a CPU up to some 1,024 keys, whose weights are small beside the map.
    """
    if not q.is_cuda and k.shape[1] <= small:
        logits = wide_matmul(q, k.transpose(1, 2)) * scale
        return torch.softmax(logits, 2).to(v.dtype) @ v
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()  # else it falls back to N x N
    heads = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
    return F.scaled_dot_product_attention(heads[0], heads[1], heads[2], scale=scale).squeeze(1)


@register_notrace_function
def multiply_through(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q k^T v / N, by the smaller of k^T v (d x d) and q k^T (queries x keys)."""
    if k.shape[1] <= k.shape[2]:
        y = wide_matmul(wide_matmul(q, k.transpose(1, 2)), v) / k.shape[1]
    else:
        y = wide_matmul(q, wide_matmul(k.transpose(1, 2), v) / k.shape[1])
    return y.to(v.dtype)


@register_notrace_function
def to_map(y: Tensor, x: Tensor) -> Tensor:
    """(B, N, d) -> (B, d, *size) of x, in the memory format of x."""
    y = y.transpose(1, 2).unflatten(2, x.shape[2:])
    return y.contiguous() if x.is_contiguous() else y


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """timm's width, where its form is wanted: C / 8, or C / reduction, to a multiple of 8."""
    options = dict(given)
    if options.get("variant") != "timm":
        return options
    reduction = options.get("reduction")
    if isinstance(reduction, int | float) and reduction > 0:  # another is refused at the door
        ratio = 1 / options.pop("reduction")
        if options.setdefault("rd_ratio", ratio) != ratio:
            what = f"reduction={reduction!r} and rd_ratio={options['rd_ratio']!r}"
            refuse(NAME, f"{what} contradict each other", "give one of reduction= and rd_ratio=")
    widths = ("reduction", "rd_ratio", "rd_channels", "reduced_channels")
    if all(options.get(name) is None for name in widths):
        options["rd_ratio"] = 1 / 8
    return options


def reference_call(module: NonLocal, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the attention."""
    return module(x), module.attention(x)
