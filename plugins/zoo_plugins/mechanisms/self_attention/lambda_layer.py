"""Lambda layer (Bello, ICLR 2021, arXiv 2102.08602, section 3; intra-depth 1).

    lambda_n = sum_m (softmax_m(k_m) + e_{n, m}) v_m^T        d_k x d_v, shared by the heads
    y_n      = concat_heads(lambda_n^T q_n)                                          (eq. 1, 2)

v and q are batch-normed. e: learned, by the offset from n to m: within a window of r x r positions
("conv", section 3.1, lambda convolution) or over the whole map ("relative"). The content part,
softmax(k) V, is the same for all n. Cost N r^2 d_k C / heads, and no N x N weights.

x: (B, C_in, H, W), y: (B, C, H / s, W / s), pooled by the stride s; d_v = C / heads. Parameter
names are timm's, whose layer fails where C_in and C differ. Its r is 9; the paper's ImageNet models
have 23. A bias of k has no effect.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import trunc_normal_
from torch import Tensor, nn

from zoo.sdk.inputs import check_shape
from zoo.sdk.options import check_bool, check_choice, check_int, refuse
from zoo_plugins.mechanisms.self_attention.heads import down_pool, in_and_out, map_size, value_heads

NAME = "lambda_layer"
POSITIONS = {"conv": True, "relative": False, "embedding": False}  # is it local?


class LambdaLayer(nn.Module):
    """(B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        num_heads: 4, lowered to a divisor of C.
        head_dim: d_k, 16; None: C / num_heads, or qk_ratio of that.
        receptive_field: r, odd, 9.
        position: `conv`, or `relative` (`embedding`), which needs feat_size and has no r.
        feat_size: (H, W) of the input, for `relative`.
        stride: s, 1 or 2.
        ceil_mode: pooling rounds odd sizes up; by default only in a convolution's place, that is
            where in_channels is given. timm rounds down.
        qkv_bias: biases in q, k and v.
        dilation, groups: of a replaced convolution; not used.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: int | None = None,
        out_channels: int | None = None,
        num_heads: int | None = None,
        head_dim: int | None = 16,
        receptive_field: int | None = None,
        position: str = "conv",
        feat_size: Any = None,
        stride: int = 1,
        ceil_mode: bool | None = None,
        qk_ratio: float = 1.0,
        qkv_bias: bool = False,
        dilation: int = 1,
        groups: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        inputs, outputs = in_and_out(NAME, channels, in_channels, out_channels)
        heads, width = value_heads(NAME, outputs, num_heads, head_dim, qk_ratio, default=4)
        self.num_heads, self.dim_qk, self.dim_v = heads, width, outputs // heads
        dd: Any = {"device": device, "dtype": dtype}
        bias = check_bool(NAME, "qkv_bias", qkv_bias)
        self.qkv = nn.Conv2d(inputs, (heads + 1) * width + self.dim_v, 1, bias=bias, **dd)
        self.norm_q = nn.BatchNorm2d(heads * width, **dd)
        self.norm_v = nn.BatchNorm2d(self.dim_v, **dd)
        self.local = POSITIONS[check_choice(NAME, "position", position, POSITIONS)]
        if self.local:
            r = check_int(NAME, "receptive_field", receptive_field or 9)
            if r % 2 == 0:
                refuse(NAME, f"receptive_field={r} is not odd")
            self.conv_lambda = nn.Conv2d(1, width, r, padding=r // 2, **dd)
        else:
            self.feat_size = _relative_size(feat_size, receptive_field)
            rows, columns = (2 * side - 1 for side in self.feat_size)
            self.pos_emb = nn.Parameter(torch.empty(rows, columns, width, **dd))
        ceil = in_channels is not None if ceil_mode is None else ceil_mode
        self.pool = down_pool(check_choice(NAME, "stride", stride, (1, 2)), ceil)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As timm."""
        trunc_normal_(self.qkv.weight, std=self.qkv.in_channels**-0.5)
        if self.local:
            trunc_normal_(self.conv_lambda.weight, std=self.dim_qk**-0.5)
        else:
            trunc_normal_(self.pos_emb, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        q, k, v = self.qkv(x).split((self.num_heads * self.dim_qk, self.dim_qk, self.dim_v), 1)
        q = self.norm_q(q).reshape(batch, self.num_heads, self.dim_qk, -1)
        v = self.norm_v(v)
        content = k.flatten(2).softmax(2) @ v.flatten(2).transpose(1, 2)  # B, d_k, d_v
        lambdas = self._positions(v) + content.unsqueeze(3)  # B, d_k, d_v, N
        y = torch.einsum("bhkn,bkvn->bhvn", q, lambdas)
        return self.pool(y.reshape(batch, -1, height, width))

    def _positions(self, v: Tensor) -> Tensor:
        """The position lambdas (B, d_k, d_v, N) of v (B, d_v, H, W)."""
        if self.local:  # in three dimensions, as timm: the channels of v are no batch to be moved
            conv, reach = self.conv_lambda, self.conv_lambda.kernel_size[0] // 2
            weight, padding = conv.weight.unsqueeze(2), (0, reach, reach)
            return F.conv3d(v.unsqueeze(1), weight, conv.bias, padding=padding).flatten(3)
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


def _relative_size(feat_size: Any, receptive_field: int | None) -> tuple[int, int]:
    if feat_size is None:
        refuse(NAME, "position='relative' needs the size of the map", "feat_size=(14, 14)")
    if receptive_field is not None:
        refuse(NAME, "position='relative' sees the whole map", "receptive_field=None")
    return map_size(NAME, feat_size)
