"""Uncertainty-aware attention (Heo et al., NeurIPS 2018, arXiv 1805.09653).

RETAIN's two attentions over the steps of a sequence, each Gaussian before its squashing, with a
spread that depends on the input. From states s, s' (of two recurrent networks) and embeddings v:

    z = (s W_mu + b_mu) + sigma e,  sigma = softplus(s W_sigma + b_sigma),  e ~ N(0, 1)
    alpha = softmax_steps(z)                                                (B, N, 1)
    beta = tanh(z'), z' of the same form from s'                            (B, N, C)
    context = sum_n alpha_n beta_n v_n;   logits = context W + b

x: (B, N, C), the embeddings; the states are x unless they are given. In eval z is its mean, unless
noise is given: the paper's uncertainty is the spread of several draws at test time, by `attend`.

The recurrent networks run backwards in time and lie outside; states here are in the order of the
embeddings. The paper's divergence on the attention is not in the authors' code, which has weight
decay and dropout for it. Their UA+ (a variance of the output) is not covered.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse
from zoo.sdk.attend import check_mask, masked_softmax
from zoo.sdk.chance import normal
from zoo.sdk.inputs import check_shape

NAME = "uncertainty_aware"


class UncertainContext(NamedTuple):
    """`context` (B, C), `logits` (B, num_classes), and per step, (B, N, ...): alpha, beta, and the
    mean and spread of each before its squashing."""

    context: Tensor
    logits: Tensor
    alpha: Tensor
    beta: Tensor
    alpha_mean: Tensor
    alpha_sigma: Tensor
    beta_mean: Tensor
    beta_sigma: Tensor


class UncertaintyAware(nn.Module):
    """(B, N, C) -> (context (B, 1, C), logits (B, num_classes)).

    Args:
        dim: C.
        state_dim: width of the states, by default C.
        alpha_dim: width of alpha, 1 or C; 1 by default.
        beta_dim: width of beta, 1 or C; C by default.
        sigma: what makes the spread positive, `"softplus"` or `"exp"`.
        num_classes: of the logits, 1.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        state_dim: PositiveInt | None = None,
        alpha_dim: PositiveInt = 1,
        beta_dim: PositiveInt | None = None,
        sigma: Literal["softplus", "exp"] = "softplus",
        num_classes: PositiveInt = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.state_dim = dim, dim if state_dim is None else state_dim
        beta_dim = dim if beta_dim is None else beta_dim
        for name, width in (("alpha_dim", alpha_dim), ("beta_dim", beta_dim)):
            if width not in (1, dim):
                refuse(NAME, f"{name}={width} is neither 1 nor dim={dim}", f"{name}={dim}")
        dd: Any = {"device": device, "dtype": dtype}
        self.alpha = GaussianLayer(self.state_dim, alpha_dim, sigma, dd)
        self.beta = GaussianLayer(self.state_dim, beta_dim, sigma, dd)
        self.out = nn.Linear(dim, num_classes, **dd)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        alpha_states: Tensor | None = None,
        beta_states: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The context and the logits; the arguments are those of `attend`."""
        found = self.attend(
            x, mask, alpha_states=alpha_states, beta_states=beta_states, generator=generator
        )
        return found.context.unsqueeze(1), found.logits

    def attend(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        alpha_states: Tensor | None = None,
        beta_states: Tensor | None = None,
        alpha_noise: Tensor | None = None,
        beta_noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> UncertainContext:
        """All that is computed.

        Args:
            mask: (B, N), True where a step is present.
            alpha_states, beta_states: s and s', (B, N, state_dim); x by default.
            alpha_noise, beta_noise: e, of alpha's and beta's shape; else drawn by `generator` in
                training, and 0 in eval.
        """
        check_shape(NAME, "x", x, ("B", "N", self.dim))
        check_mask(NAME, mask, x)
        states = [x if s is None else s for s in (alpha_states, beta_states)]
        for name, state in zip(("alpha_states", "beta_states"), states, strict=True):
            check_shape(NAME, name, state, (*x.shape[:2], self.state_dim))
        alpha_mean, alpha_sigma, alpha = self.alpha(states[0], alpha_noise, generator)
        beta_mean, beta_sigma, beta = self.beta(states[1], beta_noise, generator)
        alpha = masked_softmax(alpha, None if mask is None else mask[..., None], 1)
        beta = torch.tanh(beta)
        context = (alpha * beta * x).sum(1)
        return UncertainContext(
            context, self.out(context), alpha, beta, alpha_mean, alpha_sigma, beta_mean, beta_sigma
        )


class GaussianLayer(nn.Module):
    """States (B, N, S) -> mean, spread and a draw of a Gaussian, each (B, N, D)."""

    def __init__(self, inputs: int, outputs: int, sigma: str, dd: Any) -> None:
        super().__init__()
        self.mu = nn.Linear(inputs, outputs, **dd)
        self.sigma = nn.Linear(inputs, outputs, **dd)
        self.positive = sigma

    def forward(
        self, states: Tensor, noise: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, spread = self.mu(states), self.sigma(states)
        spread = torch.exp(spread) if self.positive == "exp" else F.softplus(spread)
        if noise is None and self.training:
            noise = normal(mean.shape, mean, generator)
        if noise is None:
            return mean, spread, mean
        check_shape(NAME, "noise", noise, tuple(mean.shape))
        return mean, spread, mean + spread * noise


def reference_keys(state: dict[str, Tensor], module: UncertaintyAware) -> dict[str, Tensor]:
    """The authors' variables, of layout (in, out), under our names."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        part, _, kind = key.rpartition("_")
        if not part or "." in kind:
            found[key] = tensor  # none of theirs
            continue
        weight = kind in ("w", "weight")
        name = f"{part.replace('_', '.')}.{'weight' if weight else 'bias'}"
        found[name] = tensor.t().contiguous() if weight else tensor
    return found


def reference_call(
    module: UncertaintyAware,
    alpha_states: Tensor,
    beta_states: Tensor,
    x: Tensor,
    alpha_noise: Tensor | None = None,
    beta_noise: Tensor | None = None,
) -> dict[str, Tensor]:
    """What a reference case records."""
    return module.attend(
        x,
        alpha_states=alpha_states,
        beta_states=beta_states,
        alpha_noise=alpha_noise,
        beta_noise=beta_noise,
    )._asdict()
