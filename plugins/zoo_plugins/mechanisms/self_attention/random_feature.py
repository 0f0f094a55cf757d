"""Random feature attention (Peng et al., ICLR 2021, arXiv 2103.02143, sections 3.1 and 3.2).

    phi(x) = D^-1/2 [sin(W x), cos(W x)],   S = sum_j phi(k_j) v_j^T,   z = sum_j phi(k_j)
    y_i = phi(q_i)^T S / (phi(q_i) . z)                                              (eq. 5)

phi(x) . phi(y) is an estimate of exp(-|x - y|^2 / 2): with q and k of norm one, softmax(q . k) up
to a factor that cancels, at a cost linear in N. Causal: S and z sum over j <= i. Gated, which is
causal (eq. 7):

    S_t = g_t S_{t-1} + (1 - g_t) phi(k_t) v_t^T,   z alike,   g_t = sigmoid(w_g . x_t + b_g)

x, y: (B, N, C), or q of x and k, v of a memory (B, M, C). W: (heads, D, d), rows sigma * random /
tau, sigma learned; q and k are divided by (norm + 1e-3) as in the authors' code, by their norm if
gated. Their code has the constant 0.1 in place of D^-1/2 (`feature_scale`) and bounds the
denominator in three ways (`absolute`, `least`). The default bounds it at a thousandth, which acts
only on an estimate gone wrong. They draw random matrices in every training step; so here, by
`generator`; in eval they are the buffer `random_matrices`, drawn by `seed`.

Started from the projections of a transformer (`take_over`), it is near it where attention is flat:
cosine of the logits 0.998 for vit_small with timm's initial weights, 0.975 at 0.91 of the flat
entropy, but 0.35 at 0.35 of it, on noise. Logits are bounded here, so more features do not help.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, NonNegativeFloat, PositiveFloat, PositiveInt, Share, refuse
from zoo.sdk.attend import check_mask, check_tokens
from zoo_plugins.mechanisms.self_attention.linear_recurrence import causal_sums
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections, heads_and_width

NAME = "random_feature"
PAPER_SCALE = "1/sqrt(proj_dim)"
_NORMALIZER = re.compile(r"(abs)?(?:, )?(?:clamp(?:_min)? ([0-9]*\.?[0-9]+(?:e-?[0-9]+)?))?\Z")


class RandomFeature(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C. None: no projections, for `attend`.
        num_heads: 8, or fewer if that does not divide C. head_dim: d, C / num_heads.
        value_dim: of a head, d.
        proj_dim: D, twice d.
        tau: temperature, 1.
        reparam_proj: sigma is learned, from 1, where there are projections.
        causal: a token sees those up to itself; by default where `gated`.
        gated: with the gate above, which is causal.
        absolute: the denominator is taken without its sign.
        least: below which the denominator does not go, 1e-3; 0 leaves it as it is.
        feature_scale: of phi, by default D^-1/2.
        norm_eps: added to the norms of q and k, 1e-3, 0 if gated.
        qkv_bias, bias: of the projections; `bias` of all.
        redraw: draw other random matrices in every training step.
        seed: of `random_matrices`.
    """

    __constants__ = ["causal"]  # so that TorchScript reads only the sums that there are

    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        random_matrices: Tensor

    def __init__(
        self,
        dim: PositiveInt | None = None,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        value_dim: PositiveInt | None = None,
        proj_dim: PositiveInt | None = None,
        tau: PositiveFloat = 1.0,
        reparam_proj: bool = True,
        causal: bool | None = None,
        gated: bool = False,
        absolute: bool = True,
        least: NonNegativeFloat = 1e-3,
        feature_scale: PositiveFloat | None = None,
        norm_eps: Share | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        redraw: bool = True,
        seed: Count = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, head_dim)
        if not width:
            refuse(NAME, "neither dim nor head_dim is given", "dim=64")
        values = width if value_dim is None else value_dim
        self.features = 2 * width if proj_dim is None else proj_dim
        self.gated, self.causal = gated, gated if causal is None else causal
        if self.gated and not self.causal:
            refuse(NAME, "gated=True and causal=False contradict each other", "causal=True")
        self.tau, self.redraw = tau, redraw
        self.absolute, self.least = absolute, least
        self.scale = self.features**-0.5 if feature_scale is None else feature_scale
        self.norm_eps = (0.0 if gated else 1e-3) if norm_eps is None else norm_eps
        dd: Any = {"device": device, "dtype": dtype}
        keys, all_values = self.num_heads * width, self.num_heads * values
        if dim is not None:
            first = {"bias": bias and qkv_bias}
            self.q_proj = nn.Linear(dim, keys, **first, **dd)
            self.k_proj = nn.Linear(dim, keys, **first, **dd)
            self.v_proj = nn.Linear(dim, all_values, **first, **dd)
            self.out_proj = nn.Linear(all_values, dim, bias=bias, **dd)
            self.gate = nn.Linear(dim, self.num_heads, **dd) if self.gated else None
        ones = torch.ones(self.num_heads, 1, width, **dd)
        self.sigma = nn.Parameter(ones) if reparam_proj and dim is not None else None
        matrices = self._draw(width, torch.Generator().manual_seed(seed))
        self.register_buffer("random_matrices", torch.empty(matrices.shape, **dd))
        self.random_matrices.copy_(matrices)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`mask`: (B, N) of x, or (B, M) of the `memory` if there is one."""
        memory = x if memory is None else memory
        if not torch.jit.is_scripting():
            self._check(x, mask, memory)
        q, k, v = self._heads(self.q_proj(x)), self._heads(self.k_proj(memory)), self.v_proj(memory)
        v = self._heads(v)
        matrices = self.random_matrices.to(q.dtype)
        # What TorchScript compiles keeps its matrices in training too.
        if not torch.jit.is_scripting() and self.training and self.redraw:
            matrices = self._draw(q.shape[3], generator).to(q)
        gate = None if self.gate is None else self.gate(memory).transpose(1, 2)
        y = self.attend(q, k, v, matrices, mask, gate)
        return self.out_proj(y.transpose(1, 2).flatten(2))

    def _check(self, x: Tensor, mask: Tensor | None, memory: Tensor) -> None:
        if self.dim is None:
            refuse(NAME, "without dim there are no projections", "module.attend(q, k, v)")
        check_tokens(NAME, "x", x, self.dim)
        check_tokens(NAME, "memory", memory, self.dim)
        check_mask(NAME, mask, memory)
        if self.causal and memory.shape[1] != x.shape[1]:
            what = f"{x.shape[1]} queries see {memory.shape[1]} others causally"
            refuse(NAME, what, "causal=False")

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        matrices: Tensor,
        mask: Tensor | None = None,
        gate: Tensor | None = None,
    ) -> Tensor:
        """q (B, heads, N, d), k (B, heads, M, d), v (B, heads, M, d_v) -> (B, heads, N, d_v).

        Args:
            matrices: (heads, D, d). mask: (B, M).
            gate: logits of g (B, heads, N).
        """
        weight = matrices if self.sigma is None else self.sigma * matrices
        queries, keys = self._features(q, weight), self._features(k, weight)
        values = torch.cat((v, torch.ones_like(v[..., :1])), 3)  # the last column sums to z
        if mask is not None:
            keys = keys.masked_fill(~mask[:, None, :, None], 0.0)
            gate = gate if gate is None else gate.masked_fill(~mask[:, None], torch.inf)
        if self.causal:
            keep = None if gate is None else F.logsigmoid(gate)
            if gate is not None:
                keys = keys * torch.sigmoid(-gate).unsqueeze(3)
            sums = causal_sums(queries, keys, values, keep)
        else:
            sums = queries @ (keys.transpose(2, 3) @ values)
        return sums[..., :-1] / self._bounded(sums[..., -1:])

    def _features(self, x: Tensor, weight: Tensor) -> Tensor:
        """phi of x (B, heads, N, d): (B, heads, N, 2 D)."""
        norm = x.norm(2, 3, keepdim=True)
        norm = norm + self.norm_eps if self.norm_eps else norm.clamp(min=1e-12)
        angles = (x / norm) @ (weight / self.tau).transpose(-2, -1)
        return self.scale * torch.cat((angles.sin(), angles.cos()), 3)

    def _bounded(self, z: Tensor) -> Tensor:
        z = z.abs() if self.absolute else z
        if not self.least:
            return torch.where(z == 0, 1.0, z)  # no key is present
        return z.clamp(min=self.least)

    def _draw(self, width: int, generator: torch.Generator | None) -> Tensor:
        """(heads, D, d), standard normal."""
        shape = (self.num_heads, self.features, width)
        device = "cpu" if generator is None else generator.device
        return torch.randn(shape, generator=generator, device=device)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`.

        Not the same function: q and k are normalised here, so that no logit is above 1 / tau^2.
        """
        carry_projections((self.q_proj, self.k_proj, self.v_proj), self.out_proj, attention)
        return False


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The words of the reference cases: `normalizer="abs, clamp 1e-3"` and the paper's scale."""
    options = dict(given)
    if options.get("feature_scale") == PAPER_SCALE:
        del options["feature_scale"]
    text = options.pop("normalizer", None)
    if text is None:
        return options
    found = _NORMALIZER.match(text) if isinstance(text, str) and text else None
    if text != "none" and found is None:
        refuse(NAME, f"normalizer={text!r} is not understood", "normalizer='abs, clamp 1e-3'")
    absolute, least = found.groups() if found else (None, None)
    return {"absolute": absolute is not None, "least": float(least or 0), **options}


def reference_call(module: RandomFeature, *inputs: Tensor) -> Tensor:
    """What a reference case records: (N, B, C) of x and a memory, or one head's q, k, v, g, W."""
    if len(inputs) < 3:
        first, *memory = (t.transpose(0, 1) for t in inputs)
        return module(first, memory=memory[0] if memory else None).transpose(0, 1)
    q, k, v = (t.unsqueeze(1) for t in inputs[:3])
    gate = inputs[3].unsqueeze(1).logit() if module.gated else None
    return module.attend(q, k, v, inputs[-1].unsqueeze(0), None, gate).squeeze(1)
