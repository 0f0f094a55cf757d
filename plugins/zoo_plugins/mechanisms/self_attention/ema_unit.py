"""Expectation-maximisation attention unit (Li et al., ICCV 2019, arXiv 1907.13426, section 3.4).

    X = W_1 x + b_1
    T times:   Z = softmax_k(X mu)                                                  (E step, eq. 9)
               mu = l2norm(X^T (Z / sum_n Z))                                      (M step, eq. 11)
    y = relu(BN(W_2 relu(Z mu)) + x)                                                 (eq. 12)

x, y: (B, C, H, W); X: (B, N, C); mu: (B, C, K), K bases, which start from the buffer `mu`
(1, C, K); Z: (B, N, K). Linear in N = H W.

As in the authors' code, no gradient passes through the iterations: W_1 is never trained and x
learns only around them. Z has no temperature (lambda = 1), and the last Z meets the mu updated
after it. In training the buffer follows the batch's mean mu (eq. 15), which the authors do in their
training script. Parameter names are the authors'.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo.sdk import Above, AtMost, PositiveInt
from zoo.sdk.activations import final_relu


class EMAUnit(nn.Module):
    """(B, C, H, W) -> the same shape, not negative.

    Args:
        channels: C.
        num_bases: K, 64.
        iters: T, 3.
        momentum: of the moving average of mu in training, 0.9; 1 keeps mu.
        bn: norm after W_2.
        bias: of W_1.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_bases: PositiveInt = 64,
        iters: PositiveInt = 3,
        momentum: Annotated[float, Above(0), AtMost(1)] = 0.9,
        bn: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.iters, self.momentum = iters, momentum
        dd: Any = {"device": device, "dtype": dtype}
        self.mu: Tensor
        self.register_buffer("mu", torch.empty(1, channels, num_bases, **dd))
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=bias, **dd)
        conv2 = nn.Conv2d(channels, channels, 1, bias=False, **dd)
        norm = nn.BatchNorm2d(channels, **dd) if bn else nn.Identity()
        self.conv1.requires_grad_(False)
        self.conv2 = nn.Sequential(conv2, norm)
        self.seen: Tensor | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As the authors: normal with fan-out; bases of unit length."""
        for conv in (self.conv1, self.conv2[0]):
            assert isinstance(conv, nn.Conv2d)
            nn.init.normal_(conv.weight, std=math.sqrt(2 / conv.out_channels))
        with torch.no_grad():
            nn.init.normal_(self.mu, std=math.sqrt(2 / self.mu.shape[2]))
            self.mu.copy_(_l2norm(self.mu))

    def forward(self, x: Tensor) -> Tensor:
        return self.with_bases(x)[0]

    def with_bases(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and the last mu (B, C, K)."""
        with torch.no_grad():
            reconstruction, mu = self._iterate(self.conv1(x).flatten(2), self._bases())
            learns = self.training and self.momentum < 1 and len(x) > 0  # no mean of no images
            if learns and not in_backward():
                self.mu.lerp_(mu.mean(0, keepdim=True).to(self.mu.dtype), 1 - self.momentum)
            reconstruction.relu_()
        return final_relu(self.conv2(reconstruction.view_as(x)) + x), mu

    def _bases(self) -> Tensor:
        """mu; in the pass that a checkpoint repeats in backward, the mu that the first one had."""
        if torch.jit.is_scripting():
            return self.mu
        else:  # TorchScript leaves out this branch only
            if self.seen is not None and in_backward():
                return self.seen
            self.seen = self.mu.clone() if self.training else None
            return self.mu

    def _iterate(self, features: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, N) and (1, C, K) -> the reconstruction Z mu (B, C, N), and mu (B, C, K)."""
        mu = mu.expand(features.shape[0], -1, -1)
        z = features
        for _ in range(self.iters):
            z = (mu.transpose(1, 2) @ features).softmax(1)  # B, K, N
            weights = z / (z.sum(2, keepdim=True) + 1e-6)
            mu = _l2norm(features @ weights.transpose(1, 2))
        return mu @ z, mu


@register_notrace_function
def in_backward() -> bool:
    """Whether this is a forward pass within a backward pass: a checkpoint's second one."""
    if torch.jit.is_scripting():
        return False
    else:
        compiling = torch.compiler.is_compiling()
        return not compiling and torch._C._current_graph_task_id() != -1


def _l2norm(mu: Tensor) -> Tensor:
    return mu / (mu.norm(p=2, dim=1, keepdim=True) + 1e-6)


def reference_call(module: EMAUnit, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the bases."""
    return module.with_bases(x)
