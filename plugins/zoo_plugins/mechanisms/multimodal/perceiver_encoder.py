"""A Perceiver's encoder: latents that read an input, and attend to each other, by a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk.attend import check_mask
from zoo_plugins.mechanisms.multimodal.fourier import interleaved_features, stacked_features
from zoo_plugins.mechanisms.multimodal.perceiver_block import NAME, Block


class Perceiver(nn.Module):
    """(B, N, C), or (B, H, W, C) and the like, -> latents (B, K, D); `logits` of the latents.

    Args:
        crosses, stacks: `Block`s that read the input, and stacks of those among the latents.
        schedule: which of the two runs when; None reads nothing.
        latents: K. dim: D.
        features: of positions, a function (size, like) -> (*size, F); None for a set.
        norm: normalise the mean of the latents before the classifier.
    """

    def __init__(
        self,
        crosses: Sequence[Block],
        stacks: Sequence[Sequence[Block]],
        schedule: Sequence[tuple[int | None, int]],
        *,
        axes: int,
        features: Any,
        num_latents: int,
        dim: int,
        num_classes: int,
        norm: bool,
        std: float,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.axes, self.features, self.schedule = axes, features, tuple(schedule)
        self.latents = nn.Parameter(torch.empty(num_latents, dim, **dd))
        nn.init.trunc_normal_(self.latents, std=std)
        self.cross = nn.ModuleList(crosses)
        self.selfs = nn.ModuleList(nn.ModuleList(stack) for stack in stacks)
        self.norm = nn.LayerNorm(dim, **dd) if norm and num_classes else nn.Identity()
        self.head = nn.Linear(dim, num_classes, **dd) if num_classes else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`: (B, N) of the tokens, in row-major order where there are several axes."""
        tokens = self._tokens(x)
        check_mask(NAME, mask, tokens)
        z = self.latents.expand(x.shape[0], -1, -1)
        for reads, runs in self.schedule:
            if reads is not None:
                z = self.cross[reads](z, tokens, mask)
            for block in self.selfs[runs]:  # pyright: ignore[reportGeneralTypeIssues]
                z = block(z)
        return z

    def logits(self, latents: Tensor) -> Tensor:
        """(B, K, D) -> (B, num_classes), of the mean latent."""
        return self.head(self.norm(latents.mean(1)))

    def _tokens(self, x: Tensor) -> Tensor:
        """(B, N, C + F)."""
        if x.ndim != (self.axes or 1) + 2:
            wanted = f"(B, {'N' if self.axes < 2 else f'{self.axes} axes'}, C)"
            raise UsageError(
                f"x has shape {tuple(x.shape)}, not {wanted}", where=f"attention {NAME!r}"
            )
        if self.features is not None:
            code = self.features(x.shape[1:-1], x)
            x = torch.cat((x, code.expand(x.shape[0], *code.shape)), -1)
        return x.flatten(1, -2)


register_notrace_module(Perceiver)  # it checks its input and runs a schedule


class Fourier:
    """Fourier features of positions in the order of a variant; a class, so that it pickles."""

    def __init__(self, bands: int, max_freq: float | None, resolution: Sequence[float] | None):
        self.bands, self.max_freq, self.resolution = bands, max_freq, resolution

    def __call__(self, size: Sequence[int], like: Tensor) -> Tensor:
        if self.max_freq is not None:
            return interleaved_features(size, self.bands, self.max_freq, like)
        return stacked_features(size, self.bands, self.resolution or size, like)
