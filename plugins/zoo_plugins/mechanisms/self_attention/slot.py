"""Slot attention (Locatello et al., NeurIPS 2020, arXiv 2006.15055, algorithm 1).

    slots ~ N(mu, sigma),   x' = LN(x), and T times:
    A = softmax over the slots of D^-1/2 k(x') q(LN(slots))^T,   W = (A + eps) / sum over the inputs
    slots = GRU(W^T v(x'), slots);   slots = slots + MLP(LN(slots))

Slots compete for the inputs. x: (B, N, C_in); slots: (B, K, D). q, k, v without a bias and LN with
epsilon 1e-3 in the authors' code (Keras' default); `variant="lucidrains"` has biases and 1e-5, and
a perceptron at least D wide. What is added to q's logits for all slots alike has no effect: the
biases of q and of the slots' LN.

`noise` (B, K, D) is the standard normal draw of the slots. In training it is drawn, by `generator`;
in eval one draw by `seed` serves every sample. Inputs that are absent have no weight.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import Count, PositiveFloat, PositiveInt
from zoo.sdk.attend import check_mask, check_tokens
from zoo.sdk.inputs import check_shape

NAME = "slot"


class SlotAttention(nn.Module):
    """(B, N, C_in) -> slots (B, K, D).

    Args:
        dim: D. input_dim: C_in, D.
        num_slots: K, 7; `forward` may be given another number.
        iters: T, 3.
        hidden_dim: of the perceptron, 128; of `lucidrains` at least D.
        eps: 1e-8. norm_eps: of the LN, 1e-3, or 1e-5 of `lucidrains`.
        qkv_bias: by default of `lucidrains` only.
        seed: of the noise in eval.
        variant: `official` or `lucidrains`.
    """

    def __init__(
        self,
        dim: int,
        *,
        input_dim: PositiveInt | None = None,
        num_slots: PositiveInt = 7,
        iters: PositiveInt = 3,
        hidden_dim: PositiveInt = 128,
        eps: PositiveFloat = 1e-8,
        norm_eps: PositiveFloat | None = None,
        qkv_bias: bool | None = None,
        seed: Count = 0,
        variant: Literal["official", "lucidrains"] = "official",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        inputs = dim if input_dim is None else input_dim
        port = variant == "lucidrains"
        hidden = max(dim, hidden_dim) if port else hidden_dim
        self.num_slots, self.iters, self.seed = num_slots, iters, seed
        self.eps, self.scale = eps, dim**-0.5
        norm_eps = (1e-5 if port else 1e-3) if norm_eps is None else norm_eps
        dd: Any = {"device": device, "dtype": dtype}
        linear: Any = {"bias": port if qkv_bias is None else qkv_bias, **dd}
        self.norm_input = nn.LayerNorm(inputs, norm_eps, **dd)
        self.norm_slots = nn.LayerNorm(dim, norm_eps, **dd)
        self.norm_mlp = nn.LayerNorm(dim, norm_eps, **dd)
        self.to_q = nn.Linear(dim, dim, **linear)
        self.to_k = nn.Linear(inputs, dim, **linear)
        self.to_v = nn.Linear(inputs, dim, **linear)
        self.gru = nn.GRUCell(dim, dim, **dd)
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden, **dd), nn.ReLU(), nn.Linear(hidden, dim, **dd)
        )
        self.slots_mu = nn.Parameter(torch.empty(1, 1, dim, **dd))
        self.slots_logsigma = nn.Parameter(torch.empty(1, 1, dim, **dd))
        nn.init.xavier_uniform_(self.slots_mu)
        nn.init.xavier_uniform_(self.slots_logsigma)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        num_slots: int | None = None,
    ) -> Tensor:
        return self.explain(x, mask, noise, generator, num_slots)[0]

    def explain(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        num_slots: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Slots, and the last A: which share of each input is in each slot, (B, K, N)."""
        check_tokens(NAME, "x", x, self.to_k.in_features)
        check_mask(NAME, mask, x)
        count = self.num_slots if num_slots is None else num_slots
        noise = self._noise(x, count, noise, generator)
        slots = self.slots_mu + self.slots_logsigma.exp() * noise
        inputs = self.norm_input(x)
        k, v = self.to_k(inputs), self.to_v(inputs)
        shares = x.new_zeros(x.shape[0], count, x.shape[1])
        for _ in range(self.iters):
            q = self.to_q(self.norm_slots(slots)) * self.scale
            shares = (q @ k.transpose(1, 2)).softmax(1)
            slots = self._step(slots, self._weights(shares, mask) @ v)
        return slots, shares

    def _weights(self, shares: Tensor, mask: Tensor | None) -> Tensor:
        weights = shares + self.eps
        if mask is not None:
            weights = weights.masked_fill(~mask.unsqueeze(1), 0.0)
        total = weights.sum(2, keepdim=True)
        return weights / (total if mask is None else total.clamp(min=self.eps))

    def _step(self, slots: Tensor, updates: Tensor) -> Tensor:
        new = self.gru(updates.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
        return new + self.mlp(self.norm_mlp(new))

    def _noise(
        self, x: Tensor, count: int, noise: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """(B, K, D), or (K, D) for all samples."""
        shape = (count, self.slots_mu.shape[2])
        if noise is not None:
            check_shape(NAME, "noise", noise, (x.shape[0], *shape))
            return noise
        if self.training:
            shape = (x.shape[0], *shape)
        else:
            generator = torch.Generator().manual_seed(self.seed)
        device = "cpu" if generator is None else generator.device
        drawn = torch.randn(shape, generator=generator, device=device).to(x)
        return drawn if self.training else drawn.expand(x.shape[0], -1, -1)


def reference_call(module: SlotAttention, inputs: Tensor, noise: Tensor) -> Tensor:
    """What a reference case records: the slots from a given draw."""
    return module(inputs, noise=noise, num_slots=noise.shape[1])
