"""dasNet as a whole: any trained CNN, looked through several times with its filters turned.

    pass 0: all gates 1;  pass t: gates a_t = C softmax(theta o_{t-1}) on every map of `layers`

(arXiv 1407.3068, section 3). The paper's own network is the maxout network of Goodfellow et al.
2013 (arXiv 1302.4389), trained first and then left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import Count, PositiveFloat, PositiveInt, Share, Size, refuse
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.reinforcement.dasnet import FilterPolicy
from zoo_plugins.networks.baselines.classifier import FlatClassifier, map_shape
from zoo_plugins.networks.baselines.cnn11 import Maxout

NAME = "dasnet_cifar10"


class MaxoutNet(FlatClassifier):
    """The maxout network for CIFAR-10 (arXiv 1302.4389, section 5.2; sizes of pylearn2's recipe).

        conv 8x8 96 - pool 4, stride 2 - conv 8x8 192 - pool 4, stride 2 - conv 5x5 192 - pool 2
        - linear 500 x 5 - linear

    Maxout of two filters a unit (five in the linear layer) for every nonlinearity. Dropout 0.2 on
    the image, 0.5 elsewhere.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: Count = 10,
        in_chans: PositiveInt = 3,
        img_size: Size = 32,
        widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (96, 192, 192),
        fc: PositiveInt = 500,
        drop_rate: Share = 0.5,
        global_pool: Literal["flat", ""] = "flat",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.image_size = in_chans, as_pair(img_size)
        layers: list[nn.Module] = []
        self.feature_info: list[dict[str, Any]] = []
        inputs = in_chans
        shapes = ((8, 4, 4), (8, 3, 4), (5, 3, 2))  # kernel, padding, pool
        for index, (width, shape) in enumerate(zip(widths, shapes, strict=True)):
            kernel, padding, pool = shape
            layers.append(
                nn.Sequential(
                    nn.Dropout(drop_rate if index else min(drop_rate, 0.2)),
                    nn.Conv2d(inputs, 2 * width, kernel, padding=padding, **dd),
                    Maxout(2),
                    nn.MaxPool2d(pool, 2, ceil_mode=True),
                )
            )
            info = {"num_chs": width, "reduction": 2 ** (index + 1), "module": f"features.{index}"}
            self.feature_info.append(info)
            inputs = width
        self.features = nn.Sequential(*layers)
        try:
            depth, height, columns = map_shape(self.features, in_chans, self.image_size)
        except RuntimeError:
            refuse(NAME, f"img_size={img_size} is too small for the network")
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(drop_rate),
            nn.Linear(depth * height * columns, 5 * fc, **dd),
            nn.Unflatten(1, (fc, 5)),
            _Largest(),
            nn.Dropout(drop_rate),
        )
        self.finish(num_classes, inputs, head_hidden_size=fc, global_pool=global_pool, **dd)


class _Largest(nn.Module):
    """(B, N, P) -> (B, N)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(-1)


class DasNetwork(nn.Module):
    """(B, C, H, W) -> logits (B, num_classes) of the last of `steps` passes and one more before.

    Args:
        base: name of a model, for `zoo.create_model`; empty is the paper's `MaxoutNet`.
        base_options: of that model. num_classes, in_chans, global_pool: of it too.
        layers: paths of the modules whose maps are gated; None is what its `feature_info` names.
        steps: passes with feedback, 5; 0 is the network as it was.
        sigma: width of the search for the policy at its start, 0.1.
        img_size: (H, W) or one number, 32: of `MaxoutNet`, and of the image by which the channels
            of the gated maps are counted.

    Attributes:
        base: the CNN. policy: a `FilterPolicy` over all gated maps.
        sigma: (D,), width of the search around theta.
    """

    sigma: Tensor

    def __init__(
        self,
        *,
        num_classes: Count = 10,
        in_chans: PositiveInt = 3,
        img_size: Size = 32,
        base: str = "",
        base_options: dict[str, Any] | None = None,
        layers: Sequence[str] | None = None,
        steps: Count = 5,
        sigma: PositiveFloat = 0.1,
        global_pool: str | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.steps = steps
        options: Any = {"num_classes": num_classes, "in_chans": in_chans, **(base_options or {})}
        if global_pool is not None:
            options["global_pool"] = global_pool
        self.base = _base(base, {**options, "img_size": img_size}, options)
        self.in_chans = in_chans
        info: list[dict[str, Any]] = list(getattr(self.base, "feature_info", None) or [])
        self.feature_info = [{**row, "module": f"base.{row['module']}"} for row in info]
        self.layers = tuple(layers if layers is not None else [row["module"] for row in info])
        found = dict(self.base.named_modules())
        unknown = [path for path in self.layers if path not in found]
        if unknown or not self.layers:
            refuse(
                NAME,
                f"layers={list(self.layers)!r}: {unknown or 'none'} of {base or 'the network'}",
            )
        like: Any = {"device": device, "dtype": dtype}
        self.base.to(device=device, dtype=dtype)
        self.widths = tuple(self._widths(as_pair(img_size)))
        self.policy = FilterPolicy(sum(self.widths), **like)
        width = torch.full((self.policy.theta.numel(),), float(sigma), **like)
        self.register_buffer("sigma", width)

    @property
    def num_classes(self) -> int:
        return self.base.num_classes  # pyright: ignore[reportReturnType]

    @property
    def num_features(self) -> int:
        return self.base.num_features  # pyright: ignore[reportReturnType]

    @property
    def head_hidden_size(self) -> int:
        return getattr(self.base, "head_hidden_size", self.num_features)

    def forward(self, x: Tensor) -> Tensor:
        return self._passes(x, self.base)[-1]

    def passes(self, x: Tensor) -> Tensor:
        """Logits of every pass, (steps + 1, B, num_classes); the first is the base's own."""
        return torch.stack(self._passes(x, self.base))

    def gates(self, x: Tensor) -> Tensor:
        """The gates of every pass, (steps + 1, B, sum of the widths)."""
        seen: list[Tensor] = []
        self._passes(x, self.base, seen)
        return torch.stack(seen)

    def forward_features(self, x: Tensor) -> Tensor:
        """The base's last map, in the last pass."""
        features: Any = self.base.forward_features
        return self._passes(x, features)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        head: Any = self.base.forward_head
        return head(x, pre_logits=pre_logits)

    def get_classifier(self) -> nn.Module:
        classifier: Any = self.base.get_classifier
        return classifier()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        reset: Any = self.base.reset_classifier
        reset(num_classes) if global_pool is None else reset(num_classes, global_pool)

    def _passes(
        self, x: Tensor, run: Callable[[Tensor], Tensor], seen: list[Tensor] | None = None
    ) -> list[Tensor]:
        gates = x.new_ones(x.shape[0], sum(self.widths))
        outputs: list[Tensor] = []
        for step in range(self.steps + 1):
            means: dict[int, Tensor] = {}
            output = self._gated(x, gates, means, run)
            outputs.append(output)
            if seen is not None:
                seen.append(gates)
            if step < self.steps:
                gates = self.policy(torch.cat([means[i] for i in range(len(self.layers))], 1))
        return outputs

    def _gated(
        self, x: Tensor, gates: Tensor, means: dict[int, Tensor], run: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """One pass; `means` gets the mean of each gated map."""
        parts = gates.split(self.widths, 1)

        def hook(index: int) -> Callable[..., Tensor]:
            def gate(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
                output = output * parts[index][..., None, None].to(output.dtype)
                means[index] = output.mean((2, 3))
                return output

            return gate

        modules = dict(self.base.named_modules())
        handles = [
            modules[path].register_forward_hook(hook(i)) for i, path in enumerate(self.layers)
        ]
        try:
            return run(x)
        finally:
            for handle in handles:
                handle.remove()

    def _widths(self, size: tuple[int, int]) -> list[int]:
        """Channels of each gated map, by one pass of an empty image."""
        widths: dict[int, int] = {}

        def hook(index: int) -> Callable[..., None]:
            def note(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                widths[index] = output.shape[1] if output.ndim == 4 else 0

            return note

        modules = dict(self.base.named_modules())
        handles = [modules[p].register_forward_hook(hook(i)) for i, p in enumerate(self.layers)]
        like = next(self.base.parameters())
        training = self.base.training
        try:
            with torch.no_grad():
                self.base.eval()(like.new_zeros(1, self.in_chans, *size))
        finally:
            self.base.train(training)
            for handle in handles:
                handle.remove()
        flat = [path for i, path in enumerate(self.layers) if not widths.get(i)]
        if flat:
            refuse(NAME, f"the output of {flat[0]!r} is no map (B, C, H, W)")
        return [widths[i] for i in range(len(self.layers))]


def _base(name: str, own: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    if not name:
        return MaxoutNet(**own)
    from zoo import create_model

    return create_model(name, **options)
