"""REINFORCE with a learned baseline: the training objective of the Recurrent Attention Model.

Williams 1992; Mnih et al. 2014, section 3.2, whose hybrid loss trains the sensor, core and
classifier by cross-entropy, the location network by the policy gradient, and the baseline by
regression on the reward.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import OptionError
from zoo.sdk import Above, AtMost, NonNegativeFloat, Share
from zoo.training.objective import check_single
from zoo_plugins.networks.ram.core import Rollout
from zoo_plugins.networks.ram.ram import RecurrentAttention

Width: TypeAlias = Annotated[float, Above(0), AtMost(2)]  # in units of half an image
NEVER_BELOW = -4.0  # log-likelihoods are cut here, so that no single image rules a batch


class Reinforce:
    """Loss of one batch: cross-entropy, policy gradient and the baseline's error.

    Args:
        model: the RAM to train.
        std: standard deviation of the location policy at the start and at the end of training;
            it falls geometrically between them.
        reward: what a location earns. `"correct"`: 1 if the last glimpse's class is right, as in
            the paper. `"gain"`: what the following glimpses add to log p(label), each one
            discounted by `discount`; much less noisy, since a location mostly earns what the very
            next glimpse brings. It needs `deep_supervision`.
        discount: of later gains, 0 to 1.
        standardise: divide the advantages of a batch by their standard deviation.
        fixed_start: share of the episodes that start at the model's `first_location`, as the mean
            policy does; the others start at random within `first_spread`.
        mean_policy: share of the episodes that follow the mean of the policy, without noise.
        deep_supervision: weight of the cross-entropy at the glimpses before the last.
        policy_weight: weight of the policy gradient.
        policy_to_core: share of the policy gradient that goes on into the core and the sensor.
            With 0 they learn by cross-entropy alone, and need not remember where a thing was seen;
            that is how the port reads the paper. The gradient of the paper's section 3.2 is that
            of the whole network, 1, which drowns the cross-entropy; a few hundredths are enough.
        label_smoothing: of the cross-entropies.
    """

    calls = "rollout"

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        std: tuple[Width, Width] = (0.2, 0.05),
        reward: Literal["correct", "gain"] = "gain",
        discount: Share = 0.7,
        standardise: bool = True,
        fixed_start: Share = 0.5,
        mean_policy: Share = 0.0,
        deep_supervision: NonNegativeFloat = 0.3,
        policy_weight: NonNegativeFloat = 1.0,
        policy_to_core: Share = 0.0,
        label_smoothing: Share = 0.0,
    ) -> None:
        if not isinstance(model, RecurrentAttention):
            raise OptionError(
                f"{type(model).__name__} has no rollout", where="objective 'reinforce'"
            )
        self.model, self.rollout = model, model.rollout
        self.std, self.reward, self.discount = std, reward, discount
        self.standardise, self.fixed_start, self.mean_policy = standardise, fixed_start, mean_policy
        self.deep, self.policy_weight = deep_supervision, policy_weight
        self.policy_to_core = policy_to_core
        self.smoothing = label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, what to log) of a batch, `progress` of the training (0 to 1) being done."""
        check_single(targets)
        episode = self._episode(images, progress)
        logits = self.model.classifier(episode.hidden)
        loss = self._cross_entropy(logits, targets)
        # The location sampled after the last glimpse is never visited, so it earns nothing.
        log_pi, baseline = episode.log_pi[:-1], episode.baseline[:-1]
        earned = self._rewards(logits.detach(), targets)
        advantage = earned - baseline.detach()
        if self.standardise and advantage.numel() > 1:
            advantage = advantage / advantage.std().clamp_min(1e-3)
        if len(log_pi):
            policy = -(log_pi * advantage).sum(0).mean()
            loss = loss + self.policy_weight * policy + F.mse_loss(baseline, earned)
        error = (logits[-1].argmax(-1) != targets).float().mean()
        return loss, {"train_error": 100 * error}

    def _episode(self, images: Tensor, progress: float) -> Rollout:
        batch, device = images.shape[0], images.device
        first, last = self.std
        # A tensor, since a number that changes with each step would be compiled anew.
        std = torch.tensor(first * (last / first) ** progress, device=images.device)
        noise = torch.randn(self.model.num_glimpses, batch, 2, device=device)
        noise = noise * (torch.rand(batch, 1, device=device) >= self.mean_policy)
        start = self.model.random_start(batch, device)
        fixed = torch.rand(batch, 1, device=device) < self.fixed_start
        start = torch.where(fixed, start.new_tensor(self.model.first_location), start)
        reach = self.policy_to_core
        return self.rollout(images, start, noise, std=std, policy_to_core=reach)

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = F.cross_entropy(logits[-1], targets, label_smoothing=self.smoothing)
        if not self.deep or len(logits) == 1:
            return loss
        earlier = logits[:-1].flatten(0, 1)
        repeated = targets.repeat(len(logits) - 1)
        deep = F.cross_entropy(earlier, repeated, label_smoothing=self.smoothing)
        return loss + self.deep * deep

    def _rewards(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(T - 1, B): what each visited location but the first earned."""
        steps = len(logits) - 1
        if self.reward == "correct":
            return (logits[-1].argmax(-1) == targets).float().expand(steps, -1)
        index = targets.expand(steps + 1, -1)[..., None]
        known = F.log_softmax(logits, -1).gather(-1, index).squeeze(-1).clamp_min(NEVER_BELOW)
        earned, following = [], torch.zeros_like(known[0])
        for gain in reversed(known[1:] - known[:-1]):
            following = gain + self.discount * following
            earned.append(following)
        return torch.stack(earned[::-1]) if earned else known[:0]

    def wrong(self, model: torch.nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many of these are wrong: on average of `mc_samples` rollouts, and in one pass of the
        mean policy, from `first_location` and from a place that is drawn for each image.
        """
        assert isinstance(model, RecurrentAttention)
        anywhere = model.from_anywhere(images, torch.Generator().manual_seed(model.seed))
        found = {
            "val_error": model(images),
            "val_error_one_pass": model.rollout(images).log_probs,
            "val_error_random_start": anywhere.log_probs,
        }
        return {k: (v.argmax(-1) != targets).sum().float() for k, v in found.items()}
