"""Global PiCANet attention (Liu, Han, Yang, CVPR 2018, arXiv 1708.06433, section 3.1).

    h = LSTM_rows(LSTM_columns(x))           ReNet: both ways along columns, then along rows
    a = softmax_k(BN(W h))                   one weight for each of k x k points of a grid
    y(p) = sum_k a_k(p) x(grid_k)            the same grid for all positions

x, y: (B, C, H, W); W: 1x1 from twice `hidden_channels` to k^2. The grid has a spacing of d, from
corner to corner: d (k - 1) + 1 = H = W (the authors: 10 points with d = 3 on 28 x 28). Here each
axis may have its own. In the authors' network x and y are joined and fused by a convolution that is
not part of this. Their LSTM has one bias a gate; PyTorch's second stays near the zero it starts at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import WeightsMismatchError
from zoo.sdk import PositiveInt, Size, refuse
from zoo.sdk.lstm import scan
from zoo.sdk.map_size import as_pair, require_size

NAME = "picanet_global"
POINTS, SPACING = 10, 3  # the authors'
GATES = "ifco"  # input, forget, cell, output: PyTorch's order


class PicanetGlobal(nn.Module):
    """(B, C, H, W) -> the same shape; each position attends to a grid over the whole map.

    Args:
        channels: C.
        feat_size: (H, W) of the map, or one number for both; by default what the grid covers.
        kernel_size: k, the points of the grid along each axis, one number or two; by default the
            number that fits the map and is nearest to 10.
        dilation: d, the spacing of these points, one number or two; by default what fits the map,
            and 3 if no map is given.
        hidden_channels: of each LSTM and direction, 256.
        batch_norm: norm before the softmax, True.
    """

    def __init__(
        self,
        channels: int,
        *,
        feat_size: Size | None = None,
        kernel_size: Size | None = None,
        dilation: Size | None = None,
        hidden_channels: PositiveInt = 256,
        batch_norm: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sides = zip(_two(feat_size), _two(kernel_size), _two(dilation), strict=True)
        rows, columns = (_grid(*side) for side in sides)
        self.spacing = (rows[1], columns[1])
        self.feat_size = (_length(*rows), _length(*columns))
        points = rows[0] * columns[0]
        dd: Any = {"device": device, "dtype": dtype}
        lstm: Any = {"batch_first": True, "bidirectional": True, **dd}
        self.vertical = nn.LSTM(channels, hidden_channels, **lstm)
        self.horizontal = nn.LSTM(2 * hidden_channels, hidden_channels, **lstm)
        self.weigh = nn.Conv2d(2 * hidden_channels, points, 1, **dd)
        self.bn = nn.BatchNorm2d(points, **dd) if batch_norm else nn.Identity()
        _open_forget_gates(self.vertical, self.horizontal)

    def forward(self, x: Tensor) -> Tensor:
        return self._attend(x, self.attention(x))

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the grid's points, row-major, (B, k * k, H, W)."""
        if not torch.jit.is_scripting():
            x = require_size(NAME, x, self.feat_size)
        columns = x.permute(0, 3, 2, 1)  # (B, W, H, C)
        flat = columns.flatten(0, 1)
        h = self.vertical(flat)[0] if torch.jit.is_scripting() else scan(self.vertical, flat)
        rows = h.unflatten(0, columns.shape[:2]).transpose(1, 2)  # (B, H, W, 2 hidden)
        flat = rows.flatten(0, 1)
        h = self.horizontal(flat)[0] if torch.jit.is_scripting() else scan(self.horizontal, flat)
        h = h.unflatten(0, rows.shape[:2])
        return torch.softmax(self.bn(self.weigh(h.permute(0, 3, 1, 2))), 1)

    def _attend(self, x: Tensor, weights: Tensor) -> Tensor:
        grid = x[:, :, :: self.spacing[0], :: self.spacing[1]].flatten(2)
        return (grid @ weights.flatten(2)).view(x.shape)


def reference_call(module: PicanetGlobal, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the attention."""
    attention = module.attention(x)
    return module._attend(x, attention), attention


def carry_keys(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """From the prototxt's names: a matrix of each gate on [x; h], and one bias."""
    lstms = {m[1] for m in (re.match(r"(.*slstm_\w+\.dir[01])_[Wb]_", key) for key in state) if m}
    parts = {f"{lstm}_{kind}_{gate}" for lstm in lstms for kind in "Wb" for gate in GATES}
    missing = sorted(parts - state.keys())
    if missing:
        raise WeightsMismatchError(f"the authors' LSTMs lack {', '.join(missing[:4])}")
    found = {
        key.replace("pool_att_raw.", "weigh.").replace("pool_att_bn.", "bn."): tensor
        for key, tensor in state.items()
        if key not in parts  # what is of no LSTM keeps its name, and will be refused
    }
    for lstm in sorted(lstms):
        weights = torch.cat([state[f"{lstm}_W_{gate}"] for gate in GATES])
        bias = torch.cat([state[f"{lstm}_b_{gate}"] for gate in GATES])
        inputs = weights.shape[1] - len(bias) // len(GATES)
        path, direction = lstm.replace("slstm_", "").rsplit(".dir", 1)
        suffix = "l0" if direction == "0" else "l0_reverse"
        found[f"{path}.weight_ih_{suffix}"] = weights[:, :inputs]
        found[f"{path}.weight_hh_{suffix}"] = weights[:, inputs:]
        found[f"{path}.bias_ih_{suffix}"] = bias
        found[f"{path}.bias_hh_{suffix}"] = torch.zeros_like(bias)
    return found


@torch.no_grad()
def _open_forget_gates(*lstms: nn.LSTM) -> None:
    """As the authors start: a bias of 1 in the forget gate, one bias in all."""
    for lstm in lstms:
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
            if name.startswith("bias_ih"):
                parameter[lstm.hidden_size : 2 * lstm.hidden_size].fill_(1.0)


def _two(size: Size | None) -> tuple[int | None, int | None]:
    """What an option says of the rows and of the columns; None where it is not given."""
    return (None, None) if size is None else as_pair(size)


def _grid(length: int | None, points: int | None, spacing: int | None) -> tuple[int, int]:
    """(points, spacing) of the grid along one axis, from what is known of it."""
    if length is None:
        return points or POINTS, spacing or SPACING
    if length == 1 and points in (None, 1):
        return 1, spacing or 1
    if points is None:
        steps = [n for n in range(1, length) if (length - 1) % n == 0]
        points = min((n + 1 for n in steps), key=lambda k: (abs(k - POINTS), -k))
        points = points if spacing is None else (length - 1) // spacing + 1
    spacing = max(1, (length - 1) // max(1, points - 1)) if spacing is None else spacing
    if _length(points, spacing) != length:
        refuse(
            NAME,
            f"kernel_size={points} points with dilation={spacing} cover {_length(points, spacing)} "
            f"positions, and the map has {length}",
            "leave kernel_size and dilation out",
        )
    return points, spacing


def _length(points: int, spacing: int) -> int:
    return spacing * (points - 1) + 1
