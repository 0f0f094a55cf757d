"""Lambda layer (Bello, ICLR 2021, arXiv 2102.08602, section 3; intra-depth 1).

    lambda_n = sum_m (softmax_m(k_m) + e_{n, m}) v_m^T        d_k x d_v, shared by the heads
    y_n      = concat_heads(lambda_n^T q_n)                                          (eq. 1, 2)

v and q are batch-normed. e: learned, by the offset from n to m: within a window of r x r positions
(section 3.1, lambda convolution) or over the whole map. The content part,
softmax(k) V, is the same for all n. Cost N r^2 d_k C / heads, and no N x N weights.

x: (B, C_in, H, W), y: (B, C, H / s, W / s), pooled by the stride s; d_v = C / heads. Parameter
names are timm's, whose layer fails where C_in and C differ. Its r is 9; the paper's ImageNet models
have 23. A bias of k has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import trunc_normal_
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, Size, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.heads import (
    down_pool,
    in_and_out,
    value_heads,
)

NAME = "lambda_layer"
POSITIONS = {"conv": True, "relative": False, "embedding": False}  # is it a window?


class LambdaLayer(nn.Module):
    """(B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        num_heads: 4, lowered to a divisor of C.
        head_dim: d_k, 16; None: C qk_ratio / num_heads.
        receptive_field: r, odd, 9. None: the whole map, whose size must then be given.
        feat_size: (H, W) of the input, for the whole map.
        stride: s, 1 or 2.
        ceil_mode: pooling rounds odd sizes up; by default only in a convolution's place, that is
            where in_channels is given. timm rounds down.
        qk_ratio: of d_k heads to C where head_dim is None, 1.
        qkv_bias: biases in q, k and v.
    """

    __constants__ = ["local"]  # so that TorchScript reads only the layers that there are

    def __init__(
        self,
        channels: int,
        *,
        in_channels: PositiveInt | None = None,
        out_channels: PositiveInt | None = None,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = 16,
        receptive_field: OddInt | None = 9,
        feat_size: Size | None = None,
        stride: Literal[1, 2] = 1,
        ceil_mode: bool | None = None,
        qk_ratio: PositiveFloat = 1.0,
        qkv_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        inputs, outputs = in_and_out(channels, in_channels, out_channels)
        heads, width = value_heads(NAME, outputs, num_heads, head_dim, qk_ratio, default=4)
        self.num_heads, self.dim_qk, self.dim_v = heads, width, outputs // heads
        dd: Any = {"device": device, "dtype": dtype}
        self.qkv = nn.Conv2d(inputs, (heads + 1) * width + self.dim_v, 1, bias=qkv_bias, **dd)
        self.norm_q = nn.BatchNorm2d(heads * width, **dd)
        self.norm_v = nn.BatchNorm2d(self.dim_v, **dd)
        self.local = receptive_field is not None
        if receptive_field is not None:
            window, around = receptive_field, receptive_field // 2
            self.conv_lambda = nn.Conv2d(1, width, window, padding=around, **dd)
        elif feat_size is None:
            what = "receptive_field=None sees the whole map, whose size is missing"
            refuse(NAME, what, "feat_size=(14, 14)")
        else:
            self.feat_size = as_pair(feat_size)
            rows, columns = (2 * side - 1 for side in self.feat_size)
            self.pos_emb = nn.Parameter(torch.empty(rows, columns, width, **dd))
        ceil = in_channels is not None if ceil_mode is None else ceil_mode
        self.pool = down_pool(stride, ceil)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As timm."""
        trunc_normal_(self.qkv.weight, std=self.qkv.in_channels**-0.5)
        if self.local:
            trunc_normal_(self.conv_lambda.weight, std=self.dim_qk**-0.5)
        else:
            trunc_normal_(self.pos_emb, std=0.02)

    def init_branch(self) -> None:
        """Outputs of about the inputs' size, which add r^2 positions of variance 1 otherwise."""
        if self.local:
            nn.init.constant_(self.norm_q.weight, 1 / self.conv_lambda.kernel_size[0])

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).split((self.num_heads * self.dim_qk, self.dim_qk, self.dim_v), 1)
        q = self.norm_q(q).flatten(2).unflatten(1, (self.num_heads, self.dim_qk))
        v = self.norm_v(v)
        content = k.flatten(2).softmax(2) @ v.flatten(2).transpose(1, 2)  # B, d_k, d_v
        lambdas = self._positions(v) + content.unsqueeze(3)  # B, d_k, d_v, N
        y = torch.einsum("bhkn,bkvn->bhvn", q, lambdas)
        return self.pool(y.flatten(1, 2).unflatten(2, x.shape[2:]))

    def _positions(self, v: Tensor) -> Tensor:
        """The position lambdas (B, d_k, d_v, N) of v (B, d_v, H, W)."""
        if self.local:  # in three dimensions, as timm: the channels of v are no batch to be moved
            conv, reach = self.conv_lambda, self.conv_lambda.kernel_size[0] // 2
            weight, padding = conv.weight.unsqueeze(2), (0, reach, reach)
            return F.conv3d(v.unsqueeze(1), weight, conv.bias, padding=padding).flatten(3)
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", v, ("B", "C", *self.feat_size))
        return torch.einsum("nmk,bvm->bkvn", self._embeddings(), v.flatten(2))

    def _embeddings(self) -> Tensor:
        """e by query and key, (N, N, d_k)."""
        device = self.pos_emb.device
        rows, columns = (_offsets(side, device) for side in self.feat_size)
        table = self.pos_emb[rows[:, None, :, None], columns[None, :, None, :]]
        return table.flatten(2, 3).flatten(0, 1)


def _offsets(side: int, device: torch.device) -> Tensor:
    index = torch.arange(side, device=device)
    return index[None, :] - index[:, None] + side - 1


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The paper's two kinds of position by the receptive field: `conv` has one, `relative` none."""
    options = dict(given)
    position = options.pop("position", None)
    if position is None:
        return options
    if position not in POSITIONS:
        refuse(NAME, f"position={position!r} is none of {', '.join(map(repr, POSITIONS))}")
    if POSITIONS[position]:
        found = options.get("receptive_field")
        return {k: v for k, v in options.items() if k != "receptive_field" or found is not None}
    if options.get("receptive_field") is not None:
        refuse(NAME, f"position={position!r} sees the whole map", "receptive_field=None")
    return {**options, "receptive_field": None}
