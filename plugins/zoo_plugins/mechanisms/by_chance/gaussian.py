"""Gaussian attention (Niu et al., GATCluster, ECCV 2020, arXiv 2002.11863, section 3.3).

One two-dimensional Gaussian, whose parameters are read off the map, is where to look:

    f = BN(conv1x1(x)),   a = relu(BN(conv1x1(x)))                          (B, F, H, W)
    theta = sigmoid(W flatten(a) + b)                                       3 numbers, or 4
    A(u) = exp(-|u - mu|^2 / (2 lamda delta + eps)),  mu = (theta_1, theta_2), delta = theta_3
    y = f * A                                                               (B, F, H, W)

x: (B, C, H, W); u = (row / (H - 1), column / (W - 1)). Several maps A are summed. `cluster` gives
the paper's head: features sum_u y(u) and mean_u f(u), each with a perceptron's softmax over
clusters.

`correlated`, the paper's full covariance: (u1, u2) = (u - mu) / ((theta_3, theta_4) + eps),
r = tanh(W' flatten(a) + b') / 2, and A = exp(-(u1^2 - 2 r u1 u2 + u2^2) / (2 lamda (1 - r^2))). The
authors' configurations never use it, and their code leaves open what bounds r before it is halved:
tanh is our choice; with `theta="code"` it is the sigmoid that bounds their other numbers.

Departure of the authors' code: it reads mu from entries 1 and 3, so that without correlation
mu's second coordinate and delta are one number and entry 2 is idle. `theta="code"` does so.
Its grid is wrong on maps that are not square; ours is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, Size, refuse
from zoo.sdk.map_size import as_pair, require_size
from zoo.sdk.precision import at_least_float32

NAME = "gaussian"


class Clusters(NamedTuple):
    """`attention` (B, 1, H, W), features (B, F), and probabilities (B, clusters) if there are."""

    attention: Tensor
    feature_att: Tensor
    feature_ori: Tensor
    prob_att: Tensor | None
    prob_ori: Tensor | None


class Gaussian(nn.Module):
    """(B, C, H, W) -> (B, F, H, W): features under a Gaussian.

    Args:
        channels: C.
        feat_size: (H, W) of the map, or one number for both.
        feature_dim: F, by default C.
        num_clusters: of the head; by default there is no head.
        lamda: width of the Gaussian, 0.05.
        correlated: the full covariance, see above; False.
        num_maps: Gaussians that are summed, 1.
        theta: `"paper"`, or `"code"` as the authors' code reads it, see above.
        eps: 1e-5.
    """

    def __init__(
        self,
        channels: int,
        *,
        feat_size: Size,
        feature_dim: PositiveInt | None = None,
        num_clusters: PositiveInt | None = None,
        lamda: PositiveFloat = 0.05,
        correlated: bool = False,
        num_maps: PositiveInt = 1,
        theta: Literal["paper", "code"] = "paper",
        eps: PositiveFloat = 1e-5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        features = channels if feature_dim is None else feature_dim
        self.size = as_pair(feat_size)
        self.lamda, self.eps, self.correlated = lamda, eps, correlated
        self.paper = theta == "paper"
        dd: Any = {"device": device, "dtype": dtype}
        self.feature_conv = ConvNorm(channels, features, dd)
        self.att_conv = ConvNorm(channels, features, dd)
        flat = features * self.size[0] * self.size[1]
        maps = range(num_maps)
        self.theta = nn.ModuleList(nn.Linear(flat, 4 if correlated else 3, **dd) for _ in maps)
        self.ro = nn.ModuleList(nn.Linear(flat, 1, **dd) for _ in (maps if correlated else ()))
        self.classifier_att = self.classifier_ori = None
        if num_clusters is not None:
            self.classifier_att = Classifier(features, num_clusters, dd)
            self.classifier_ori = Classifier(features, num_clusters, dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.feature_conv(x) * self.attention(x)

    def cluster(self, x: Tensor) -> Clusters:
        """The paper's head."""
        features, attention = self.feature_conv(x), self.attention(x)
        attended, pooled = (features * attention).sum((2, 3)), features.mean((2, 3))
        prob_att = None if self.classifier_att is None else self.classifier_att(attended)
        prob_ori = None if self.classifier_ori is None else self.classifier_ori(pooled)
        return Clusters(attention, attended, pooled, prob_att, prob_ori)

    def attention(self, x: Tensor) -> Tensor:
        """A, (B, 1, H, W)."""
        if not torch.jit.is_scripting():
            x = require_size(NAME, x, self.size)
        flat = F.relu(self.att_conv(x)).flatten(1)
        theta = torch.stack(
            [torch.sigmoid(at_least_float32(layer(flat))) for layer in self.theta], 1
        )
        correlation: Tensor | None = None
        if self.correlated:
            logits = torch.stack([at_least_float32(layer(flat)) for layer in self.ro], 1)
            correlation = (torch.tanh(logits) if self.paper else torch.sigmoid(logits)) / 2
        return self.gaussian(theta, correlation).sum(1, keepdim=True).to(flat.dtype)

    def gaussian(self, theta: Tensor, correlation: Tensor | None = None) -> Tensor:
        """theta (B, maps, 3 or 4) and r (B, maps, 1) -> A of each map, (B, maps, H, W)."""
        rows, columns = _places(self.size[0], theta), _places(self.size[1], theta)
        second = 1 if self.paper else 2
        down = rows - theta[..., 0, None]  # (B, maps, H)
        across = columns - theta[..., second, None]
        if correlation is None:
            spread = 2 * self.lamda * theta[..., 2, None] + self.eps
            exponent = (down**2 / spread)[..., None] + (across**2 / spread)[..., None, :]
            return torch.exp(-exponent)
        down = (down / (theta[..., 2, None] + self.eps))[..., None]
        across = (across / (theta[..., 3, None] + self.eps))[..., None, :]
        r = correlation[..., None]
        quadratic = down**2 - 2 * r * down * across + across**2
        return torch.exp(-quadratic / (2 * self.lamda * (1 - r**2)))


def _places(side: int, like: Tensor) -> Tensor:
    """Positions along one side, from 0 to 1."""
    return torch.arange(side, device=like.device, dtype=like.dtype) / max(side - 1, 1)


class ConvNorm(nn.Module):
    """BN(conv1x1(x))."""

    def __init__(self, inputs: int, outputs: int, dd: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, **dd)
        self.bn = nn.BatchNorm2d(outputs, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Classifier(nn.Module):
    """softmax(fc2(relu(fc1(x)))), (B, F) -> (B, clusters)."""

    def __init__(self, features: int, clusters: int, dd: Any) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, clusters, **dd)
        self.fc2 = nn.Linear(clusters, clusters, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(x))).softmax(1)


def read_size(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' height and width are feat_size."""
    own = dict(options)
    height, width = own.pop("height", None), own.pop("width", None)
    if height is None and width is None:
        return own
    if height is None or width is None:
        refuse(NAME, f"height={height!r} without width={width!r}", "feat_size=(14, 14)")
    if own.get("feat_size") is None:
        return {**own, "feat_size": (height, width)}
    given = own["feat_size"]
    if (height, width) != (tuple(given) if isinstance(given, list | tuple) else (given, given)):
        what = f"feat_size={given!r} and height={height!r}, width={width!r} contradict each other"
        refuse(NAME, what, "leave height= and width= out")
    return own


def reference_call(module: Gaussian, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records."""
    return {k: v for k, v in module.cluster(x)._asdict().items() if v is not None}
