"""Deep Recurrent Attention Model: read a sequence of labels off an image by glimpses.

Ba, Mnih, Kavukcuoglu, "Multiple Object Recognition with Visual Attention", ICLR 2015
(arXiv 1412.7755). No code was released. `variant="port"` is the wiring of an independent one
(tianyu-tristan/Visual-Attention-Model, MIT), whose README says that it does not train; see
`Reader` and `GlimpseNetwork` for where it parts from the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.sequences import LabelSequence
from zoo.explain.glimpses import GlimpsePath
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import size_pair
from zoo.sdk.options import (
    agree,
    check_bool,
    check_choice,
    check_int,
    check_number,
    refuse,
)
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.hard.retina import check_size
from zoo_plugins.networks.dram.combine import combine, log_mean
from zoo_plugins.networks.dram.core import Episode, Reader
from zoo_plugins.networks.dram.glimpse import LOST, NAME, GlimpseNetwork, check_filters

VARIANTS = ("paper", "port")


class DeepRecurrentAttention(Tables):
    """DRAM: image (B, C, H, W) -> log-probabilities (B, L, K) of L targets; (B, K) if L is 1.

    Each target is read after `glimpses_per_target` glimpses. With `end_symbol`, class K - 1 says
    that the sequence is over, and what follows it means nothing.

    In eval mode a prediction is a fixed function of the image: with `mc_samples` = S > 1 the log
    of the mean probability of S rollouts, whose noise is drawn from a generator seeded with `seed`
    and shared by all images; with 1, one pass of the mean policy. In training mode it is one
    rollout sampled from the global random state (or `generator`); its gradient carries the
    score-function term of the locations that led to each target, so that any loss reaches every
    parameter. The zoo's training objective is `dram_reinforce.SequenceReinforce`.

    Args:
        num_classes: K with the end symbol; 0 gives the features of the last target.
        in_chans (or channels): C. image_size (or height and width): what it is meant for; the
            paper's form takes any size, the port's only this one.
        patch_size, num_scales, filters, glimpse_dim: see `GlimpseNetwork`.
        cell_size: D of both LSTMs.
        glimpses_per_target, num_targets: T = their product; L.
        end_symbol: whether the last class ends a sequence.
        std: of the location policy, in units of half an image.
        context_size: side that the image is averaged to for the context network; None is 12 (the
            port: the image itself). context_filters: of its convolutions; None is `filters`.
        emission_hidden, classifier_hidden: width of a hidden layer, 0 for none.
        read: log-probabilities of a target: at its `last` glimpse, or the `mean` over all of
            them (the port). None is the variant's.
        forward_backward: a second set of recurrent layers reads the labels in reverse; predictions
            are averaged, see `combine`.
        detach_mean: as in the port, where the emission network never learns.
        variant (or wiring, since timm's builder has a variant of its own): `paper` or `port`; None
            is `port` where the port's names (`height`, `width`) are given, else `paper`.
        mc_samples, seed: see above, and `set_sampling` for the built model.

    Raises:
        OptionError: a setting is out of range, or two names of one setting disagree.
        UsageError: an image with another number of channels, or smaller than a patch.
    """

    draw_noise: Tensor

    def __init__(
        self,
        *,
        num_classes: int = 11,
        in_chans: int | None = None,
        channels: int | None = None,
        image_size: int | Sequence[int] | None = None,
        height: int | None = None,
        width: int | None = None,
        patch_size: int = 12,
        num_scales: int = 2,
        filters: Sequence[int] = (64, 64, 128),
        glimpse_dim: int = 1024,
        cell_size: int = 512,
        glimpses_per_target: int = 3,
        num_targets: int = 6,
        end_symbol: bool = True,
        std: float = 0.1,
        context_size: int | Sequence[int] | None = None,
        context_filters: Sequence[int] | None = None,
        emission_hidden: int = 0,
        classifier_hidden: int = 0,
        read: str | None = None,
        forward_backward: bool = False,
        detach_mean: bool = False,
        variant: str | None = None,
        wiring: str | None = None,
        mc_samples: int = 1,
        seed: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        named = "paper" if height is None and width is None else "port"
        variant = agree(NAME, variant=variant, wiring=wiring) or named
        port = check_choice(NAME, "variant", variant, VARIANTS) == "port"
        chans = agree(NAME, in_chans=in_chans, channels=channels)
        self.in_chans = 1 if chans is None else check_int(NAME, "in_chans", chans)
        self.num_classes = check_int(NAME, "num_classes", num_classes, 0)
        self.end_symbol = check_bool(NAME, "end_symbol", end_symbol)
        self.per_target = check_int(NAME, "glimpses_per_target", glimpses_per_target)
        self.num_targets = check_int(NAME, "num_targets", num_targets)
        self.num_glimpses = self.per_target * self.num_targets
        self.variant = "port" if port else "paper"
        self.read = check_choice(
            NAME, "read", read or ("mean" if port else "last"), ("last", "mean")
        )
        self.std = 0.0 if std == 0 else check_number(NAME, "std", std)

        filters = check_filters("filters", filters)
        glimpse_dim = check_int(NAME, "glimpse_dim", glimpse_dim)
        self.glimpse = GlimpseNetwork(
            self.in_chans, patch_size=patch_size, num_scales=num_scales, filters=filters,
            glimpse_dim=glimpse_dim, port=port, **dd,
        )  # fmt: skip
        self.image_size = _image_size(image_size, height, width)
        given = self.image_size if port and context_size is None else context_size
        settings: Any = {
            "context_size": _context_size(12 if given is None else given, port),
            "context_filters": check_filters(
                "context_filters", filters if context_filters is None else context_filters
            ),
            "glimpse_dim": glimpse_dim,
            "cell_size": check_int(NAME, "cell_size", cell_size),
            "num_classes": self.num_classes,
            "emission_hidden": check_int(NAME, "emission_hidden", emission_hidden, 0),
            "classifier_hidden": check_int(NAME, "classifier_hidden", classifier_hidden, 0),
            "std": self.std,
            "port": port,
            "detach_mean": check_bool(NAME, "detach_mean", detach_mean),
            **dd,
        }
        both = check_bool(NAME, "forward_backward", forward_backward)
        self.readers = nn.ModuleList(
            Reader(self.in_chans, **settings) for _ in range(2 if both else 1)
        )
        self.num_features = self.head_hidden_size = self.reader().num_features
        self.set_sampling(mc_samples, seed)

    def reader(self, index: int = 0) -> Reader:
        """0 reads the labels forward, 1 in reverse."""
        reader = self.readers[index]
        assert isinstance(reader, Reader)
        return reader

    def set_sampling(self, mc_samples: int | None = None, seed: int | None = None) -> None:
        """Change how many rollouts a prediction averages, and what they are drawn from."""
        if mc_samples is not None:
            self.mc_samples = check_int(NAME, "mc_samples", mc_samples)
        if seed is not None:
            self.seed = check_int(NAME, "seed", seed, 0)
        noise = self.glimpse.where.weight.new_empty(self.num_glimpses, self.mc_samples, 1, 2)
        self.register_buffer("draw_noise", noise.detach(), persistent=False)
        self._init_buffers()

    def _init_buffers(self) -> None:
        generator = torch.Generator("cpu").manual_seed(self.seed)
        shape = self.draw_noise.shape
        self.draw_noise.copy_(torch.randn(shape, generator=generator, device="cpu"))

    def rollout(
        self,
        image: Tensor,
        noise: Tensor | None = None,
        *,
        std: float | Tensor | None = None,
        patches: Tensor | None = None,
        reader: int = 0,
    ) -> Episode:
        """Look T times.

        Args:
            image: (B, C, H, W).
            noise: standard normal, broadcastable to (T, ..., B, 2); None is the mean policy.
            std: of the policy, broadcastable to (..., B, 1); None is the model's.
            patches: (T, B, *glimpse.patch_shape): seen instead of the image.
            reader: which one.

        Locations are samples: no gradient passes through them, only through `log_pi`.
        """
        self._check(image, patches)
        chosen = self.reader(reader)
        return chosen.rollout(
            image, self.glimpse, self.num_glimpses, noise, std=std, patches=patches
        )

    def at_targets(self, per_glimpse: Tensor) -> Tensor:
        """(T, ..., B, K) log-probabilities of glimpses -> (..., B, L, K) of targets."""
        by_target = per_glimpse.unflatten(0, (self.num_targets, self.per_target))
        chosen = by_target.mean(1) if self.read == "mean" else by_target[:, -1]
        return chosen.movedim(0, -2)

    def sequence(self, image: Tensor) -> Tensor:
        """The prediction of eval mode, always (B, L, K)."""
        each = [self._predict(image, index) for index in range(len(self.readers))]
        return each[0] if len(each) == 1 else combine(*each, end=self.end_symbol)

    @property
    def targets(self) -> LabelSequence:
        """What the labels are, of one target or several."""
        end = self.num_classes - 1 if self.end_symbol else None
        return LabelSequence(
            length=self.num_targets, num_classes=self.num_classes, end=end, option="num_targets"
        )

    @property
    def label_sequence(self) -> LabelSequence | None:
        """`targets`, where there are several; one is a class like any classifier's."""
        return self.targets if self.num_classes and self.num_targets > 1 else None

    def glimpses(self, image: Tensor) -> GlimpsePath:
        """Where the mean policy looks, reading forward: for pictures."""
        return GlimpsePath(locations=self.rollout(image).location, sides=self.glimpse.sides)

    def forward_features(self, image: Tensor) -> Tensor:
        """r1 at every glimpse of each rollout, reading forward: (S, T, B, D)."""
        noise = None if self.mc_samples == 1 else self.draw_noise
        r1 = self.rollout(image, noise).r1
        return r1.movedim(1, 0) if r1.ndim == 4 else r1[None]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(S, T, B, D) -> log of the mean probability of S rollouts; or the mean features."""
        reader = self.reader()
        if pre_logits or not self.num_classes:
            return reader.hidden(x[:, -1]).mean(0)
        return self._squeeze(log_mean(self.at_targets(reader.classify(x.movedim(1, 0)))))

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Tensor:
        if not self.num_classes:
            return self.forward_head(self.forward_features(image))
        if not self.training:
            return self._squeeze(self.sequence(image))
        each = [self._sampled(image, i, generator) for i in range(len(self.readers))]
        output = each[0] if len(each) == 1 else combine(*each, end=self.end_symbol)
        return self._squeeze(output)

    def get_classifier(self) -> nn.Module:
        return self.reader().classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier of `num_classes`; 0 removes it. `global_pool` has no meaning here."""
        like = self.glimpse.where.weight
        self.num_classes = check_int(NAME, "num_classes", num_classes, 0)
        for index in range(len(self.readers)):
            self.reader(index).reset_classifier(num_classes, device=like.device, dtype=like.dtype)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        return {"stem": r"^glimpse", "blocks": [(r"^readers\.(\d+)", None)]}

    def no_weight_decay(self) -> set[str]:
        return set()

    def _squeeze(self, log_probs: Tensor) -> Tensor:
        return log_probs.squeeze(-2) if self.num_targets == 1 else log_probs

    def _predict(self, image: Tensor, reader: int) -> Tensor:
        if self.mc_samples == 1:
            return self.at_targets(self.rollout(image, reader=reader).log_probs)
        episode = self.rollout(image, self.draw_noise, reader=reader)
        return log_mean(self.at_targets(episode.log_probs))

    def _sampled(self, image: Tensor, reader: int, generator: torch.Generator | None) -> Tensor:
        """One rollout; its value, and the score function's gradient of what led to each target."""
        shape = (self.num_glimpses, len(image), 2)
        noise = torch.randn(shape, generator=generator, device=image.device)
        episode = self.rollout(image, noise, reader=reader)
        output = self.at_targets(episode.log_probs)
        score = (episode.log_pi - episode.log_pi.detach()).cumsum(0)  # zero in value
        expected = self.reader(reader).expected(episode.state)
        ends = slice(self.per_target - 1, None, self.per_target)
        advantage = output.detach() - expected[ends].movedim(0, -1)[..., None]
        return output + score[ends].movedim(0, -1)[..., None] * advantage

    def _check(self, image: Tensor, patches: Tensor | None) -> None:
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            return
        if patches is not None:
            self.glimpse.check(patches)
        size = self.image_size if self.variant == "port" and self.image_size else ("H", "W")
        check_shape(NAME, "image", image, ("B", self.in_chans, *size))
        if patches is None:
            check_size(image, self.in_chans, self.glimpse.sides[0])


def _image_size(
    image_size: int | Sequence[int] | None, height: int | None, width: int | None
) -> tuple[int, int] | None:
    if (height is None) != (width is None):
        refuse(NAME, "one of height and width is missing", "image_size=(height, width)")
    both = None if height is None else (height, width)
    sizes = {"image_size": image_size, "height and width": both}
    given = {k: (v, size_pair(NAME, k, v)) for k, v in sizes.items() if v is not None}
    return agree(NAME, **given)


def _context_size(size: Any, port: bool) -> tuple[int, int]:
    pair = size_pair(NAME, "context_size", size)
    if min(pair) <= LOST:
        name = "image_size" if port else "context_size"
        refuse(NAME, f"{name}={size!r}: the context network needs {LOST + 1} x {LOST + 1}")
    return pair
