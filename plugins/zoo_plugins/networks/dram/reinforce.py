"""Training of DRAM: log-likelihood of the sequence, REINFORCE with a learned baseline.

Ba, Mnih, Kavukcuoglu, ICLR 2015 (arXiv 1412.7755), sections 3.1 and 4; Williams 1992. For M
sampled rollouts of an image with labels y_1 .. y_L (the end symbol with them),

    loss = 1/M sum_m [ - sum_s log p(y_s | l_1 .. l_t(s))            sequence log-likelihood
                       - lambda sum_t log pi(l_t) (R_t - b_t)         REINFORCE
                       + sum_t (R_t - b_t)^2 ]                        learned baseline

With M > 1, the mean of the other samples' R_t - b_t is taken off too: what is left is due to the
locations alone. R_t is what location t and all later ones earn, discounted. What comes after the
end symbol counts for nothing; with `stop_at_error`, neither does what comes after the first target
named wrongly. The policy is a Gaussian of fixed width, whose entropy is 2 log(std) + const: the
schedule of `std` is that of the entropy.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

import torch
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.sdk import Above, AtMost, NonNegativeFloat, PositiveInt, Share
from zoo_plugins.networks.dram.core import Episode
from zoo_plugins.networks.dram.dram import DeepRecurrentAttention

NAME = "sequence_reinforce"
Width: TypeAlias = Annotated[float, Above(0), AtMost(2)]  # in units of half an image


class SequenceReinforce:
    """Loss of one batch of images (B, C, H, W) and labels (B, L) or (B,), int64.

    Sequences shorter than the model's L are filled up with the end symbol; longer ones must hold
    nothing but the end symbol beyond.

    Args:
        model: the DRAM to train. With `forward_backward`, its second reader learns the labels in
            reverse (the end symbol stays last).
        std: of the location policy at the start and at the end of training; it falls geometrically.
        mc_samples: M, rollouts of each image.
        reward: what a target earns. `correct`: 1 where it is named rightly, as in the paper.
            `probability`: what each glimpse adds to p(y_s), its expectation and so less noisy.
            `gain`: what each adds to log p(y_s), cut off at chance, since a poor classifier that
            is wrong with confidence would drive glimpses away from all digits.
        discount: of later rewards, 0 to 1; with 1 a location earns all that follows (the paper's
            cumulative reward).
        stop_at_error: the paper's curriculum, see above.
        deep_supervision: weight of the log-likelihood at the glimpses of a target before the last.
        policy_weight: lambda.
        mean_policy: share of the episodes that follow the mean of the policy, without noise.
        shared_baseline: whether the baseline's error also trains what it is read from: the context
            network and the upper layer, which else learn from the policy gradient alone.
        standardise: divide the advantages of a batch by their standard deviation.
        label_smoothing: of the log-likelihood.
    """

    calls = "rollout"

    def __init__(
        self,
        model: nn.Module,
        *,
        std: tuple[Width, Width] = (0.2, 0.05),
        mc_samples: PositiveInt = 1,
        reward: Literal["probability", "gain", "correct"] = "probability",
        discount: Share = 0.7,
        stop_at_error: bool = False,
        deep_supervision: NonNegativeFloat = 0.3,
        policy_weight: NonNegativeFloat = 1.0,
        mean_policy: Share = 0.0,
        shared_baseline: bool = True,
        standardise: bool = True,
        label_smoothing: Share = 0.0,
    ) -> None:
        if not isinstance(model, DeepRecurrentAttention):
            raise OptionError(
                f"{type(model).__name__} reads no sequence by glimpses", where=f"objective {NAME!r}"
            )
        if not model.num_classes:
            raise OptionError("the model has no classes to learn", where=f"objective {NAME!r}")
        self.model, self.rollout = model, model.rollout
        self.std, self.samples, self.reward, self.discount = std, mc_samples, reward, discount
        self.stop_at_error, self.deep = stop_at_error, deep_supervision
        self.policy_weight, self.mean_policy = policy_weight, mean_policy
        self.shared_baseline, self.standardise = shared_baseline, standardise
        self.smoothing = label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, what to log) of a batch, `progress` of the training (0 to 1) being done."""
        labels = self.labels(targets)
        loss, found = images.new_zeros(()), None
        for index in range(len(self.model.readers)):
            wanted = reverse(labels, self._end) if index else labels
            episode = self._episode(images, progress, index)
            loss = loss + self._loss(episode, wanted, index)
            found = self.model.at_targets(episode.log_probs.detach())[0] if not index else found
        assert found is not None
        error = self._wrong(found, labels).float().mean()
        return loss, {"train_error": 100 * error}

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many sequences are wrong by the model's own prediction, and in one forward pass.

        A sequence is wrong if one of its labels is.
        """
        assert isinstance(model, DeepRecurrentAttention)
        labels = self.labels(targets)
        one_pass = model.at_targets(model.rollout(images).log_probs)
        found = {"val_error": model.sequence(images), "val_error_one_pass": one_pass}
        return {name: self._wrong(value, labels).sum().float() for name, value in found.items()}

    def labels(self, targets: Tensor) -> Tensor:
        """(B, L) labels as the model has them.

        Raises:
            DataError: sequences that do not fit, or classes that the model does not have.
        """
        return self.model.targets.fit(targets)

    @property
    def _end(self) -> int | None:
        return self.model.targets.end

    def _episode(self, images: Tensor, progress: float, reader: int) -> Episode:
        shape = (self.model.num_glimpses, self.samples, images.shape[0], 2)
        noise = torch.randn(shape, device=images.device)
        drawn = torch.rand(self.samples, images.shape[0], 1, device=images.device)
        noise = noise * (drawn >= self.mean_policy)
        first, last = self.std
        # A tensor, since a number that changes with each step would be compiled anew.
        std = torch.tensor(first * (last / first) ** progress, device=images.device)
        return self.rollout(images, noise, std=std, reader=reader)

    def _loss(self, episode: Episode, labels: Tensor, reader: int) -> Tensor:
        """Time is split into targets and their glimpses: (L, G, M, B)."""
        model = self.model
        log_probs = episode.log_probs.unflatten(0, (model.num_targets, model.per_target))
        index = labels.T[:, None, None, :, None].expand(*log_probs.shape[:-1], 1)
        known = log_probs.gather(-1, index).squeeze(-1)
        named = model.at_targets(episode.log_probs.detach()).argmax(-1)
        right = (named == labels).movedim(-1, 0)  # (L, M, B)
        counts = self._counts(labels, right)
        loss = -(self._likelihood(known, log_probs) * counts).sum(0).mean()
        earned = self._returns(known.detach(), right, counts)
        return loss + self._policy(episode, earned, counts, reader)

    def _likelihood(self, known: Tensor, log_probs: Tensor) -> Tensor:
        """(L, M, B): log-likelihood of each target, smoothed, with that of earlier glimpses."""
        smooth = (1 - self.smoothing) * known + self.smoothing * log_probs.mean(-1)
        if self.model.read == "mean":
            return smooth.mean(1)
        earlier = smooth[:, :-1].sum(1) / max(1, known.shape[1] - 1)
        return smooth[:, -1] + self.deep * earlier

    def _counts(self, labels: Tensor, right: Tensor) -> Tensor:
        """(L, M, B): 1 up to the end symbol and, if asked, up to the first error, both included."""
        counts = torch.ones_like(right, dtype=torch.float32)
        if self._end is not None:
            counts = counts * _until(labels.T != self._end)[:, None]
        return counts * _until(right) if self.stop_at_error else counts

    def _returns(self, known: Tensor, right: Tensor, counts: Tensor) -> Tensor:
        """(T, M, B): what each location and those after it earned."""
        if self.reward == "correct":
            earned = torch.zeros_like(known)
            earned[:, -1] = right.to(known.dtype)
        else:
            chance = 1 / self.model.num_classes
            probability = self.reward == "probability"
            value = known.exp() if probability else known.clamp_min(math.log(chance))
            blind = torch.full_like(known[:, :1], chance if probability else math.log(chance))
            earned = value - torch.cat((blind, value[:, :-1]), 1)
        rows, following = [], torch.zeros_like(known[0, 0])
        for row in reversed((earned * counts[:, None]).flatten(0, 1)):
            following = row + self.discount * following
            rows.append(following)
        return torch.stack(rows[::-1])

    def _policy(self, episode: Episode, earned: Tensor, counts: Tensor, reader: int) -> Tensor:
        state = episode.state if self.shared_baseline else episode.state.detach()
        expected = self.model.reader(reader).expected(state)
        counts = counts.repeat_interleave(self.model.per_target, 0)
        advantage = earned - expected.detach()
        if self.samples > 1:  # R - mean of the others' R
            advantage = (advantage - advantage.mean(1, keepdim=True)) * (
                self.samples / (self.samples - 1)
            )
        advantage = advantage * counts
        if self.standardise and advantage.numel() > 1:
            advantage = advantage / advantage.std().clamp_min(1e-3)
        policy = -(episode.log_pi * advantage).sum(0).mean()
        error = ((expected - earned).square() * counts).sum() / counts.sum().clamp_min(1)
        return self.policy_weight * policy + error

    def _wrong(self, log_probs: Tensor, labels: Tensor) -> Tensor:
        """Which of the sequences (..., B, L, K) are not the labels (B, L)."""
        return self.model.targets.wrong(log_probs.argmax(-1), labels)


def reverse(labels: Tensor, end: int | None) -> Tensor:
    """(B, L) labels read backwards; the end symbol, if there is one, stays behind them."""
    count = labels.shape[1]
    place = torch.arange(count, device=labels.device)
    length = torch.full_like(labels[:, :1], count)
    if end is not None:
        length = (_until((labels != end).T).sum(0) - 1)[:, None].to(labels.dtype)
        length = torch.where((labels == end).any(1, keepdim=True), length, count)
    flipped = torch.where(place < length, length - 1 - place, place)
    return labels.gather(1, flipped)


def _until(good: Tensor) -> Tensor:
    """1 along the first dimension up to the first that is not good, which is included."""
    alive = good.to(torch.float32).cumprod(0)
    return torch.cat((torch.ones_like(alive[:1]), alive[:-1]))
