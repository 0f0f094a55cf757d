"""xSlot attention (Li et al., SCOUTER, ICCV 2021, arXiv 2009.06138, section 3.2).

A head with a learned slot for each class, whose evidence is the logit. With x' the tokens of
relu(conv1x1(x)), P their positions, D the width, T times:

    E = D^-1/2 slots k(x' + P)^T,   A = sigmoid(E_i sum(E) / sum_j E_ij),   U = A x' / D
    slots = GRU(U, slots);          logit_c = e sum_d U_cd

of the last U. e is 1, or -1 for negative explanations: why an image is not of a class. The loss of
a training is NLL + lambda (mean A)^power, which keeps the explanations small. x: (B, C, H, W), A:
(B, K, H, W); several slots of a class are added. Without `channels` there is no convolution:
`forward` takes tokens with and without positions, (B, N, D) each.

As in the authors' code there is no projection of q and v and no LN. E is divided by the sum of its
row, which may be near zero: logits can be large. Their model returns log_softmax of the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, check_divisible
from zoo.weights.keymaps import rename

NAME = "xslot"
KEY_MAP = (
    (r"^(.*\.)?to_q\..*$", ""),
    (r"^slot\.", ""),
    (r"(^|\.)initial_slots$", r"\1slots.weight"),
    (r"(^|\.)(gru\.\w+)_l0$", r"\1\2"),
)


class ClassSlots(nn.Module):
    """The learned slots: `weight`, (classes, slots of each, D), standard normal at the start."""

    def __init__(
        self, classes: int, each: int, dim: int, *, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, each, dim, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw them anew."""
        nn.init.normal_(self.weight)


class XSlot(nn.Module):
    """(B, C, H, W) -> logits (B, K).

    Args:
        channels: C. None: no convolution and no positions, `forward(tokens, values)`.
        dim: D.
        num_classes: K.
        slots_per_class: their evidence is added.
        iters: T.
        loss_status: e.
        power: of the area loss (1 in the authors' class, 2 in their training).
        to_k_layers: linear layers of k, with ReLU between them.
        position: `sine`, DETR's code on positions scaled to 2 pi, or `none`.
        temperature: of the sine code.
    """

    def __init__(
        self,
        channels: PositiveInt | None = None,
        *,
        dim: PositiveInt = 64,
        num_classes: PositiveInt = 10,
        slots_per_class: PositiveInt = 1,
        iters: PositiveInt = 3,
        loss_status: Literal[1, -1] = 1,
        power: PositiveFloat = 2,
        to_k_layers: PositiveInt = 1,
        position: Literal["sine", "none"] = "sine",
        temperature: PositiveFloat = 10000.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.num_classes, self.iters = dim, num_classes, iters
        self.loss_status, self.power = loss_status, power
        dd: Any = {"device": device, "dtype": dtype}
        self.conv1x1 = self.temperature = None
        if channels is not None:
            self.conv1x1 = nn.Conv2d(channels, dim, 1, **dd)
            if position != "none":
                check_divisible(NAME, "dim", dim, "4, sine and cosine of two axes", 4)
                self.temperature = temperature
        layers: list[nn.Module] = [nn.Linear(dim, dim, **dd)]
        for _ in range(to_k_layers - 1):
            layers += [nn.ReLU(), nn.Linear(dim, dim, **dd)]
        self.to_k = nn.Sequential(*layers)
        self.gru = nn.GRUCell(dim, dim, **dd)
        self.slots = ClassSlots(num_classes, slots_per_class, dim, **dd)

    def forward(self, x: Tensor, values: Tensor | None = None) -> Tensor:
        return self.explain(x, values)[0]

    def explain(self, x: Tensor, values: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and the last A of all slots: (B, slots, H, W), or (B, slots, N)."""
        size = x.shape[2:]
        if self.conv1x1 is not None:
            x = self.conv1x1(x).relu()
            values = x.flatten(2).transpose(1, 2)
            x = values if self.temperature is None else values + self._positions(x)
        k = self.to_k(x)
        values = x if values is None else values
        slots = self.slots.weight.flatten(0, 1).expand(x.shape[0], -1, -1)
        updates, shares = slots, values
        for step in range(self.iters):
            if step:
                slots = self.gru(updates.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
            shares = self._shares(slots, k)
            updates = shares @ values / self.dim
        logits = updates.unflatten(1, (self.num_classes, -1)).sum((2, 3)) * self.loss_status
        return logits, shares.unflatten(2, size) if self.conv1x1 is not None else shares

    def area_loss(self, shares: Tensor) -> Tensor:
        """(mean A)^power, of all that `explain` returns."""
        return shares.mean().pow(self.power)

    def class_maps(self, shares: Tensor) -> Tensor:
        """A of the slots (B, slots, H, W) -> of the classes, their mean, (B, K, H, W)."""
        return shares.unflatten(1, (self.num_classes, -1)).mean(2)

    def _shares(self, slots: Tensor, k: Tensor) -> Tensor:
        logits = slots @ k.transpose(1, 2) * self.dim**-0.5
        rows = logits.sum(2, keepdim=True)
        return (logits / rows * rows.sum(1, keepdim=True)).sigmoid()

    def _positions(self, x: Tensor) -> Tensor:
        """DETR's sine code of a map (B, D, H, W): (H W, D), the rows' half first."""
        height, width = x.shape[2:]
        half = self.dim // 2
        powers = torch.arange(half // 2, device=x.device, dtype=torch.float32) * 2 / half
        codes: list[Tensor] = []
        for length in (height, width):
            steps = torch.arange(1, length + 1, device=x.device) * (2 * torch.pi / (length + 1e-6))
            angles = steps[:, None] / (self.temperature or 1) ** powers
            codes.append(torch.stack((angles.sin(), angles.cos()), 2).flatten(1))
        rows = codes[0][:, None].expand(height, width, half)
        columns = codes[1].expand(height, width, half)
        return torch.cat((rows, columns), 2).flatten(0, 1).to(x.dtype)


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Our names: without the projection of queries that is never used; slots class by class."""
    assert isinstance(module, XSlot)
    renamed = {rename(KEY_MAP, key, NAME): tensor for key, tensor in state.items()}
    for key in [key for key in renamed if key.endswith("slots.weight")]:
        renamed[key] = renamed[key].view_as(module.slots.weight)
    return {key: tensor for key, tensor in renamed.items() if key}


def reference_call(module: XSlot, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the logits, and the area loss."""
    logits, shares = module.explain(*inputs)
    return logits, module.area_loss(shares)
