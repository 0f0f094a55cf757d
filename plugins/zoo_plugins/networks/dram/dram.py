"""Deep Recurrent Attention Model: read a sequence of labels off an image by glimpses.

Ba, Mnih, Kavukcuoglu, "Multiple Object Recognition with Visual Attention", ICLR 2015
(arXiv 1412.7755). No code was released. `wiring="port"` is that of an independent one
(tianyu-tristan/Visual-Attention-Model, MIT), whose README says that it does not train; see
`ReaderSettings` and `GlimpseNetwork` for where it departs from the paper.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from zoo.data.sequences import LabelSequence
from zoo.explain.glimpses import GlimpsePath
from zoo.sdk import AtLeast, Count, NonNegativeFloat, PositiveInt, refuse
from zoo.sdk.classifier import Classifier
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.hard.retina import check_size
from zoo_plugins.networks.dram.combine import combine, log_mean
from zoo_plugins.networks.dram.core import Episode, Reader, ReaderSettings
from zoo_plugins.networks.dram.glimpse import LOST, NAME, GlimpseNetwork

Side: TypeAlias = Annotated[int, AtLeast(LOST + 1)]  # what the convolutions leave a pixel of
Filters: TypeAlias = tuple[PositiveInt, PositiveInt, PositiveInt]


class DeepRecurrentAttention(Classifier, Tables):
    """DRAM: image (B, C, H, W) -> log-probabilities (B, L, K) of L targets; (B, K) if L is 1.

    Each target is read after `glimpses_per_target` glimpses. With `end_symbol`, class K - 1 says
    that the sequence is over, and what follows it means nothing.

    In eval mode a prediction is a fixed function of the image: with `mc_samples` = S > 1 the log
    of the mean probability of S rollouts, whose noise is drawn from a generator seeded with `seed`
    and shared by all images; with 1, one pass of the mean policy. In training mode it is one
    rollout sampled from the global random state (or `generator`); its gradient carries the
    score-function term of the locations that led to each target, so that any loss reaches every
    parameter. The zoo's training objective is `reinforce.SequenceReinforce`.

    Args:
        num_classes: K with the end symbol; 0 gives the features of the last target.
        in_chans: C.
        patch_size, num_scales, filters, glimpse_dim: see `GlimpseNetwork`.
        cell_size: D of both LSTMs.
        glimpses_per_target, num_targets: T is their product; num_targets is L.
        end_symbol: whether the last class ends a sequence.
        std: of the location policy, in units of half an image.
        context_size: side that the image is averaged to for the context network. In the port's
            wiring it is the size of the images, which may have no other.
        context_filters: of its convolutions; None is `filters`.
        emission_hidden, classifier_hidden: width of a hidden layer, 0 for none.
        read: which log-probabilities are those of a target: of its `last` glimpse, or the `mean`
            over all of them, as in the port.
        forward_backward: a second set of recurrent layers reads the labels in reverse; predictions
            are averaged, see `combine`.
        detach_mean: as in the port, where the emission network never learns.
        wiring: `paper` or `port`. The name of the model, or the port's names for its settings,
            give the port's `context_size` and `read` with it (see `authors`).
        mc_samples, seed: see above, and `set_sampling` for the built model.

    Raises:
        OptionError: a patch would be wider than 4096 pixels.
        UsageError: an image with another number of channels, or smaller than a patch.
    """

    name, classifier_name = NAME, "readers.0.classifier"
    draw_noise: Tensor

    def __init__(
        self,
        *,
        num_classes: Count = 11,
        in_chans: PositiveInt = 1,
        patch_size: Side = 12,
        num_scales: PositiveInt = 2,
        filters: Filters = (64, 64, 128),
        glimpse_dim: PositiveInt = 1024,
        cell_size: PositiveInt = 512,
        glimpses_per_target: PositiveInt = 3,
        num_targets: PositiveInt = 6,
        end_symbol: bool = True,
        std: NonNegativeFloat = 0.1,
        context_size: Side | tuple[Side, Side] = 12,
        context_filters: Filters | None = None,
        emission_hidden: Count = 0,
        classifier_hidden: Count = 0,
        read: Literal["last", "mean"] = "last",
        forward_backward: bool = False,
        detach_mean: bool = False,
        wiring: Literal["paper", "port"] = "paper",
        mc_samples: PositiveInt = 1,
        seed: Count = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        port = wiring == "port"
        self.in_chans, self.end_symbol, self.std = in_chans, end_symbol, std
        self.per_target, self.num_targets = glimpses_per_target, num_targets
        self.num_glimpses = glimpses_per_target * num_targets
        self.variant, self.read = wiring, read
        self.glimpse = GlimpseNetwork(
            in_chans, patch_size=patch_size, num_scales=num_scales, filters=filters,
            glimpse_dim=glimpse_dim, port=port, **dd,
        )  # fmt: skip
        settings = ReaderSettings(
            channels=in_chans, context_size=as_pair(context_size),
            context_filters=context_filters or filters, glimpse_dim=glimpse_dim,
            cell_size=cell_size, emission_hidden=emission_hidden,
            classifier_hidden=classifier_hidden, std=std, port=port, detach_mean=detach_mean,
        )  # fmt: skip
        count = 2 if forward_backward else 1
        self.readers = nn.ModuleList(Reader(settings, **dd) for _ in range(count))
        self.finish(num_classes, self.reader().num_features, **dd)
        self.mc_samples, self.seed = mc_samples, seed
        self.set_sampling()

    def reader(self, index: int = 0) -> Reader:
        """0 reads the labels forward, 1 in reverse."""
        reader = self.readers[index]
        assert isinstance(reader, Reader)
        return reader

    def set_sampling(self, mc_samples: int | None = None, seed: int | None = None) -> None:
        """Change how many rollouts a prediction averages, and what they are drawn from."""
        self.mc_samples = self.mc_samples if mc_samples is None else mc_samples
        self.seed = self.seed if seed is None else seed
        if self.mc_samples < 1:
            refuse(NAME, f"mc_samples={mc_samples} rollouts give no prediction")
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

    def forward_features(self, image: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """r1 at every glimpse of each rollout, reading forward: (S, T, B, D)."""
        noise = None if self.mc_samples == 1 else self.draw_noise
        r1 = self.rollout(image, noise).r1
        return r1.movedim(1, 0) if r1.ndim == 4 else r1[None]

    def pool(self, x: Tensor) -> Tensor:
        """The features of the last target, averaged over the rollouts: (S, T, B, D) -> (B, D')."""
        return self.reader().hidden(x[:, -1]).mean(0)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(S, T, B, D) -> log of the mean probability of S rollouts; or the mean features."""
        if pre_logits or not self.num_classes:
            return self.pool(x) if self.global_pool else x
        return self._squeeze(log_mean(self.at_targets(self.reader().classify(x.movedim(1, 0)))))

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, image: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        if not self.num_classes:
            return self.forward_head(self.forward_features(image))
        if not self.training:
            return self._squeeze(self.sequence(image))
        each = [self._sampled(image, i, generator) for i in range(len(self.readers))]
        output = each[0] if len(each) == 1 else combine(*each, end=self.end_symbol)
        return self._squeeze(output)

    def make_classifier(self, num_classes: int, **dd: Any) -> None:
        """A new classifier for each reader."""
        for index in range(len(self.readers)):
            self.reader(index).reset_classifier(num_classes, **dd)

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
        shape = (self.num_glimpses, image.shape[0], 2)
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
        size = self.reader().context_size if self.variant == "port" else ("H", "W")
        check_shape(NAME, "image", image, ("B", self.in_chans, *size))
        if patches is None:
            check_size(image, self.in_chans, self.glimpse.sides[0])
