"""Recurrent Attention Model: classify an image from a few glimpses chosen by a learned policy.

Mnih, Heess, Graves, Kavukcuoglu, "Recurrent Models of Visual Attention", NIPS 2014
(arXiv 1406.6247). Where the paper is silent, this follows the best-known port
(kevinzakka/recurrent-visual-attention, MIT): its location network has a hidden layer that the
paper's has not (`locator_hidden=0` is the paper's).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo.explain.glimpses import GlimpsePath
from zoo.sdk import AtLeast, AtMost, Count, NonNegativeFloat, PositiveInt, refuse
from zoo.sdk.classifier import Classifier
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.hard.glimpse import GlimpseSensor
from zoo_plugins.mechanisms.hard.retina import check_view
from zoo_plugins.networks.ram.core import (
    LocationNetwork,
    RecurrentCore,
    Rollout,
    log_density,
    scale_gradient,
)

Coordinate: TypeAlias = Annotated[float, AtLeast(-1), AtMost(1)]


class RecurrentAttention(Classifier, Tables):
    """RAM as a timm-shaped classifier: image (B, C, H, W) -> log-probabilities (B, K).

    In eval mode a prediction is a fixed function of the image. With `mc_samples` = S > 1 it is
    the log of the mean probability of S rollouts, whose first locations and noise are drawn from
    a generator seeded with `seed` and shared by all images, so that neither the batch around an
    image nor the global random state matters. `mc_samples=1` is one pass of the mean policy from
    `first_location`. In training mode it is one rollout sampled from the global random state;
    its value is that of the rollout, and its gradient carries the score-function term of the
    location policy (Foerster et al. 2018), so that any loss reaches every parameter; the zoo's
    training objective is `reinforce.Reinforce`.

    Any image size works: locations are relative.

    Args:
        num_classes: K; 0 gives the last hidden state, averaged over the rollouts.
        in_chans: C.
        patch_size, num_patches, scale, glimpse_hidden, location_hidden: see `GlimpseSensor`.
        num_glimpses: T, with the first one.
        hidden_size: D, width of the core.
        locator_hidden: width of the location network's hidden layer; None is D // 2, 0 is none.
        std: of the location policy, in units of half an image.
        first_location: (x, y) where the mean policy starts.
        first_spread: sampled rollouts start uniformly within this distance of it, per axis;
            1 around the centre is the paper's random start.
        squash: how a sampled location is brought into [-1, 1]: `"clamp"`, or `"tanh"` as in the
            older checkpoints of the port.
        mc_samples, seed: see above, and `set_sampling` for the built model.

    Raises:
        OptionError: a glimpse would be wider than 4096 pixels.
    """

    name = "ram"
    draw_start: Tensor
    draw_noise: Tensor

    def __init__(
        self,
        *,
        num_classes: Count = 10,
        in_chans: PositiveInt = 1,
        patch_size: PositiveInt = 8,
        num_patches: PositiveInt = 1,
        scale: Annotated[float, AtLeast(1)] = 2,
        num_glimpses: PositiveInt = 6,
        glimpse_hidden: PositiveInt = 128,
        location_hidden: PositiveInt = 128,
        hidden_size: PositiveInt = 256,
        locator_hidden: Count | None = None,
        std: NonNegativeFloat = 0.17,
        first_location: tuple[Coordinate, Coordinate] = (0.0, 0.0),
        first_spread: NonNegativeFloat = 1.0,
        squash: Literal["clamp", "tanh"] = "clamp",
        mc_samples: PositiveInt = 10,
        seed: Count = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.num_glimpses, self.std = in_chans, num_glimpses, std
        self.first_location, self.first_spread = first_location, first_spread
        self.squash, self.grad_checkpointing = squash, False
        self.sensor = GlimpseSensor(
            in_chans, patch_size=patch_size, num_patches=num_patches, scale=scale,
            glimpse_hidden=glimpse_hidden, location_hidden=location_hidden, **dd,
        )  # fmt: skip
        self.core = RecurrentCore(self.sensor.out_dim, hidden_size, **dd)
        hidden = hidden_size // 2 if locator_hidden is None else locator_hidden
        self.locator = LocationNetwork(hidden_size, hidden, **dd)
        self.baseline = nn.Linear(hidden_size, 1, **dd)
        self.finish(num_classes, hidden_size, **dd)
        self.mc_samples, self.seed = mc_samples, seed
        self.set_sampling()

    def set_sampling(self, mc_samples: int | None = None, seed: int | None = None) -> None:
        """Change how many rollouts a prediction averages, and what they are drawn from.

        The draws are kept as buffers outside the state dict, so that prediction is a function of
        tensors alone (`torch.compile`, `torch.export`).
        """
        self.mc_samples = self.mc_samples if mc_samples is None else mc_samples
        self.seed = self.seed if seed is None else seed
        if self.mc_samples < 1:
            refuse(self.name, f"mc_samples={mc_samples} rollouts give no prediction")
        shape = (self.num_glimpses, self.mc_samples, 1, 2)
        weight = self.core.i2h.weight
        like: Any = {"device": weight.device, "dtype": _location_dtype(weight)}
        self.register_buffer("draw_start", torch.empty(shape[1:], **like), persistent=False)
        self.register_buffer("draw_noise", torch.empty(shape, **like), persistent=False)
        self._init_buffers()

    def _init_buffers(self) -> None:
        generator = torch.Generator("cpu").manual_seed(self.seed)
        uniform = torch.rand(self.draw_start.shape, generator=generator, device="cpu")
        self.draw_start.copy_(self._start(uniform))
        shape = self.draw_noise.shape
        self.draw_noise.copy_(torch.randn(shape, generator=generator, device="cpu"))

    def rollout(
        self,
        image: Tensor,
        start: Tensor | None = None,
        noise: Tensor | None = None,
        *,
        std: float | Tensor | None = None,
        policy_to_core: float = 0.0,
    ) -> Rollout:
        """Look T times.

        Args:
            image: (B, C, H, W).
            start: (..., B, 2), the first location as (x, y); None is `first_location`.
            noise: standard normal, broadcastable to (T, ..., B, 2); None is the mean policy.
            std: of the policy, broadcastable to (..., B, 1); None is the model's.
            policy_to_core: share of the policy gradient that goes on from the location network
                into the core and the sensor.

        The location of the next glimpse and the state that the baseline sees are detached, and so
        is the state that the location network sees, but for `policy_to_core`: cross-entropy trains
        the sensor, core and classifier, the policy gradient trains the location network, and the
        reward's error the baseline.
        """
        std = self.std if std is None else std
        if start is None:
            start = _point(self.first_location, image).expand(image.shape[0], 2)
        check_view(image, start, self.in_chans, self.sensor.sides[0])
        start = start.to(_location_dtype(start))
        integral = self.sensor.prepare(image, math.prod(start.shape[:-2]) * self.num_glimpses)
        hidden, location, steps = None, start, []
        for t in range(self.num_glimpses):
            hidden = self._glance(image, integral, location, hidden)
            mean = self.locator(scale_gradient(hidden, policy_to_core))
            sample = mean.detach() if noise is None else (mean + std * noise[t]).detach()
            location = torch.tanh(sample) if self.squash == "tanh" else sample.clamp(-1, 1)
            steps.append((hidden, mean, sample, location))
        states, means, samples, locations = map(torch.stack, zip(*steps, strict=True))
        return Rollout(
            log_probs=F.log_softmax(self.classifier(states[-1]), -1),
            hidden=states,
            location_mean=means,
            location=locations,
            log_pi=log_density(samples, means, std),
            baseline=self.baseline(states.detach()).squeeze(-1),
            path=torch.cat((start[None], locations[:-1])),
        )

    def glimpses(self, image: Tensor) -> GlimpsePath:
        """Where the mean policy looks, in one pass: for pictures."""
        return GlimpsePath(locations=self.rollout(image).path, sides=self.sensor.sides)

    def from_anywhere(self, image: Tensor, generator: torch.Generator) -> Rollout:
        """One pass as the papers take it: the first glimpse is drawn uniformly over the whole
        image, whatever `first_spread` says; the others follow the mean of the policy.
        """
        uniform = torch.rand(image.shape[0], 2, generator=generator, device=generator.device)
        return self.rollout(image, (2 * uniform - 1).to(image.device))

    def random_start(self, batch: int, device: torch.device) -> Tensor:
        """(batch, 2) first locations, uniform within `first_spread` of `first_location`."""
        return self._start(torch.rand(batch, 2, device=device))

    def forward_features(self, image: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Last hidden state of each rollout, (B, S, D); S is 1 in training mode."""
        return self._features(self._sampled(image) if self.training else self._seeded(image))

    def pool(self, x: Tensor) -> Tensor:
        """The mean state of the rollouts, (B, S, D) -> (B, D)."""
        return x.mean(1)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(B, S, D) -> log of the mean probability of the S rollouts, or their mean state."""
        if pre_logits or not self.num_classes:
            return self.pool(x) if self.global_pool else x
        log_probs = F.log_softmax(self.classifier(x), -1)
        return torch.logsumexp(log_probs, 1) - math.log(x.shape[1])

    def forward(self, image: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self.training:
            return self.forward_head(self.forward_features(image))
        episode = self._sampled(image)
        output = self.forward_head(self._features(episode))
        if not self.global_pool:
            return output
        # Zero in value. Its gradient is d log pi * (output - baseline), the score function.
        score = (episode.log_pi - episode.log_pi.detach())[..., None]
        return output + (score * (output.detach() - episode.baseline[..., None])).sum(0)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        return {"stem": r"^sensor", "blocks": [(r"^core", None), (r"^(?:locator|baseline)", (1,))]}

    def no_weight_decay(self) -> set[str]:
        return set()

    def _glance(
        self, image: Tensor, integral: Tensor | None, location: Tensor, hidden: Tensor | None
    ) -> Tensor:
        def step(location: Tensor, hidden: Tensor | None) -> Tensor:
            pixels = self.sensor.retina(
                image, location, integral
            )  # checked before the first glance
            return self.core(self.sensor.encode(pixels, location), hidden)

        if self.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(step, location, hidden, use_reentrant=False)
        return step(location, hidden)

    def _features(self, episode: Rollout) -> Tensor:
        last = episode.hidden[-1]
        return last.movedim(0, 1) if last.ndim == 3 else last[:, None]

    def _sampled(self, image: Tensor) -> Rollout:
        batch, device = image.shape[0], image.device
        noise = torch.randn(self.num_glimpses, batch, 2, device=device)
        return self.rollout(image, self.random_start(batch, device), noise)

    def _seeded(self, image: Tensor) -> Rollout:
        if self.mc_samples == 1:
            return self.rollout(image)
        start = self.draw_start.expand(-1, image.shape[0], -1)
        return self.rollout(image, start, self.draw_noise)

    def _start(self, uniform: Tensor) -> Tensor:
        offset = (2 * uniform - 1) * self.first_spread
        return (_point(self.first_location, uniform) + offset).clamp(-1, 1)


def _point(location: tuple[float, float], like: Tensor) -> Tensor:
    return torch.tensor(location, dtype=_location_dtype(like), device=like.device)


def _location_dtype(like: Tensor) -> torch.dtype:
    """Locations keep at least float32: a pixel must not be lost."""
    return torch.promote_types(like.dtype, torch.float32)


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """One-channel images of 28x28, for the conformance kit."""
    return {"channels": 1}, (torch.rand(batch, 1, 28, 28, generator=generator),)
