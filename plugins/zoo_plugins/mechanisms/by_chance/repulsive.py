"""Repulsive attention (An et al., EMNLP 2020, arXiv 2009.09364): a transform of gradients.

The heads of a projection are M particles of a posterior. Stein variational gradient descent moves
each by all their gradients, and away from the others. With the particles X (M, D), the gradients G
of the loss, and an RBF kernel of median bandwidth:

    d_ij = |x_i - x_j|^2,  h^2 = median(d) / (2 log(M + 1))        over all M^2 pairs; 1 if M = 1
    K = exp(-d / (2 h^2)),  R = (X sum_j K_j - K X) / h^2           R: the repulsion
    svgd:  step (K G - w R) / M
    spos:  step ((K G - w R) / M + beta G - sqrt(2 beta / step) e),  e ~ N(0, 1)

weight, gradient: (hidden, heads * head_dim), columns of a head side by side; the result takes the
gradient's place before clipping and the optimiser. `repulse_` does so for parameters of a model.

`split="heads"`, the paper's, has the columns of a head as a particle. `"comb"` is what the authors'
TensorFlow code reshapes to: particle j is every M-th number from j on, whatever head it is of.
Their PyTorch programs, the only ones with spos, divide R by h rather than h^2, take the lower
median, and one of them scales e by median(|G|).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import NonNegativeFloat, PositiveFloat, PositiveInt, check_divisible
from zoo.sdk.chance import normal
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "repulsive"


class Repulsion(NamedTuple):
    """`gradient` and `repulsion` in the weight's shape, the `kernel` (M, M), and h."""

    gradient: Tensor
    kernel: Tensor
    repulsion: Tensor
    bandwidth: Tensor


class Repulsive(nn.Module):
    """(weight, gradient) -> the gradient to use instead; no parameters.

        repulsive = Repulsive(768, num_heads=12)
        loss.backward()
        repulsive.repulse_([block.attn.proj_q.weight, ...])
        optimiser.step()

    Args:
        hidden: width of the projection's input.
        num_heads: M; by default hidden / head_dim, and without that 8, or the greatest smaller
            number that divides hidden.
        head_dim: width of a head, by default hidden / num_heads.
        stepsize: step, 1.
        repulsive_weight: w, 1.
        split: `"heads"` or `"comb"`, see above.
        method: `"svgd"` or `"spos"`.
        beta: of spos, 1.
    """

    def __init__(
        self,
        hidden: PositiveInt,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        stepsize: PositiveFloat = 1.0,
        repulsive_weight: NonNegativeFloat = 1.0,
        split: Literal["heads", "comb"] = "heads",
        method: Literal["svgd", "spos"] = "svgd",
        beta: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.hidden, self.split, self.method = hidden, split, method
        self.num_heads, self.head_dim = _heads(hidden, num_heads, head_dim)
        self.stepsize, self.repulsive_weight, self.beta = stepsize, repulsive_weight, beta

    def forward(
        self,
        weight: Tensor,
        gradient: Tensor,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The gradient to use. `noise`: of spos, in the weight's shape, else drawn by `generator`;
        in eval mode there is none unless it is given."""
        return self.repel(weight, gradient, noise=noise, generator=generator).gradient

    def repel(
        self,
        weight: Tensor,
        gradient: Tensor,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Repulsion:
        """All that is computed."""
        shape = (self.hidden, self.num_heads * self.head_dim)
        check_shape(NAME, "weight", weight, shape)
        check_shape(NAME, "gradient", gradient, shape)
        x, g = (self._particles(t.to(_wide(t))) for t in (weight, gradient))
        kernel, repulsion, bandwidth = _rbf(x)
        found = (kernel @ g - self.repulsive_weight * repulsion) / self.num_heads
        if self.method == "spos":
            if noise is None:
                noise = normal(shape, x, generator) if self.training else x.new_zeros(shape)
            spread = math.sqrt(2 * self.beta / self.stepsize)
            found = found + self.beta * g - spread * self._particles(noise)
        found = self.stepsize * found
        new = self._matrix(found).to(gradient.dtype)
        return Repulsion(new, kernel, self._matrix(repulsion), bandwidth)

    @torch.no_grad()
    def repulse_(
        self, parameters: Iterable[Tensor], generator: torch.Generator | None = None
    ) -> None:
        """Replace `.grad`, if any, of the weights of linear layers, (heads * head_dim, hidden).

        For every step: `optimiser.register_step_pre_hook(lambda *_: repulsive.repulse_(weights))`.
        """
        for parameter in parameters:
            if parameter.grad is not None:
                found = self(parameter.t(), parameter.grad.t(), generator=generator)
                parameter.grad.copy_(found.t())

    def _particles(self, matrix: Tensor) -> Tensor:
        """(hidden, heads * head_dim) -> (M, D)."""
        if self.split == "comb":
            return matrix.reshape(-1, self.num_heads).t()
        parts = matrix.reshape(self.hidden, self.num_heads, self.head_dim)
        return parts.transpose(0, 1).flatten(1)

    def _matrix(self, particles: Tensor) -> Tensor:
        if self.split == "comb":
            return particles.t().reshape(self.hidden, -1)
        parts = particles.unflatten(1, (self.hidden, self.head_dim))
        return parts.transpose(0, 1).flatten(1)

    def extra_repr(self) -> str:
        return f"hidden={self.hidden}, num_heads={self.num_heads}, split={self.split!r}"


def _wide(x: Tensor) -> torch.dtype:
    """float32 at least: distances in half precision are lost, and `torch.cdist` lacks them."""
    return torch.promote_types(x.dtype, torch.float32)


def _rbf(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel (M, M), the repulsion (M, D) and the bandwidth (1,) of particles (M, D)."""
    heads = len(x)
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square()
    ordered = distance.flatten().sort()[0]
    last = heads * heads - 1
    median = (ordered[last // 2] + ordered[(last + 1) // 2]) / 2
    square = 0.5 * median / math.log(heads + 1)
    square = torch.where((square > 0) & (heads > 1), square, 1)  # heads that are all the same
    kernel = torch.exp(-distance / (2 * square))
    repulsion = (x * kernel.sum(1, keepdim=True) - kernel @ x) / square
    return kernel, repulsion, square.sqrt().reshape(1)


def _heads(hidden: int, count: int | None, width: int | None) -> tuple[int, int]:
    """How many heads there are, and how wide each is."""
    if count is not None and width is not None:
        return count, width
    if width is not None:
        check_divisible(NAME, "hidden", hidden, "head_dim", width)
        return hidden // width, width
    count = largest_divisor(hidden, 8) if count is None else count
    check_divisible(NAME, "hidden", hidden, "num_heads", count)
    return count, hidden // count


def example(
    channels: int, batch: int, generator: torch.Generator
) -> tuple[dict[str, object], tuple[Tensor, ...]]:
    """A weight and its gradient: there is no batch."""
    weight, gradient = torch.randn(2, channels, channels, generator=generator).unbind()
    return {}, (weight, gradient)


example.batch_independent = False  # pyright: ignore[reportFunctionMemberAccess]


def reference_call(
    module: Repulsive, weight: Tensor, gradient: Tensor, noise: Tensor | None = None
) -> dict[str, Tensor]:
    """What a reference case records."""
    found = module.repel(weight, gradient, noise=noise)
    return {
        f"{module.method}_gradient": module(weight, gradient, noise=noise),
        "kernel": found.kernel,
        "repulsion": found.repulsion,
        "bandwidth": found.bandwidth,
    }
