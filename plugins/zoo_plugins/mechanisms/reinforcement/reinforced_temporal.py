"""Reinforced temporal attention (Karianakis et al., ECCV 2018, arXiv 1705.09882).

A Bernoulli-sigmoid unit on each frame's features decides whether the frame's prediction counts:

    p_t = sigmoid(w . g_t + b);   w_t ~ Bernoulli(p_t) in training, p_t in eval
    prediction = sum_t w_t y_t                     over sum_t w_t if normalize

g: (B, T, D), the frames' features; y: (B, T, K), the frames' predictions, by default the features.
The unit learns by REINFORCE: `attend` gives log p of the draws, `reinforcement.policy.policy_loss`
the loss, whose gradient at the logit is -(w_t - p_t)(reward - baseline_t).

Built from the paper's text and its figure 3, whose equations we could not see in full. Determined:
the unit acts on the CNN's features, not on the recurrent state; weights are drawn in training and
are the unit's mean at test time; the prediction is their weighted sum. Our choices: one linear
layer, with a bias; the frames' predictions come from outside (the paper's LSTM and classifier);
no division by the sum of the weights unless asked, which leaves the likeliest class as it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse
from zoo.sdk.attend import check_mask
from zoo.sdk.inputs import check_shape
from zoo.sdk.take_part import take_part
from zoo_plugins.mechanisms.reinforcement.policy import bernoulli_log_prob, choose, policy_loss

NAME = "reinforced_temporal"


class Attended(NamedTuple):
    """`prediction` (B, K); `weights`, `prob` and `log_prob` of the weights, (B, T)."""

    prediction: Tensor
    weights: Tensor
    prob: Tensor
    log_prob: Tensor


class ReinforcedTemporal(nn.Module):
    """(B, T, D) -> the weighted sum over the frames, (B, 1, K).

    Args:
        dim: D.
        num_frames: the most frames; None for any number.
        num_classes: K; None for any.
        bias: of the unit.
        normalize: divide by the sum of the weights.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        num_frames: PositiveInt | None = None,
        num_classes: PositiveInt | None = None,
        bias: bool = True,
        normalize: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.num_frames, self.num_classes = dim, num_frames, num_classes
        self.normalize = normalize
        self.rta = nn.Linear(dim, 1, bias=bias, device=device, dtype=dtype)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        predictions: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The video's prediction; `mask` (B, T) is True where a frame is present."""
        found = self.attend(x, predictions, mask, generator=generator)
        prediction = found.prediction.unsqueeze(1)
        if self.training:  # the policy learns from the reward
            prediction = take_part(prediction, list(self.rta.parameters()))
        return prediction

    def attend(
        self,
        x: Tensor,
        predictions: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Attended:
        """All that is computed.

        Args:
            noise: uniform, (B, T): a frame counts where it is below p_t. Else drawn by `generator`
                in training; in eval the weight is p_t itself, and log_prob that of the mean.
        """
        check_shape(NAME, "x", x, ("B", "T", self.dim))
        check_mask(NAME, mask, x)
        if self.num_frames is not None and x.shape[1] > self.num_frames:
            refuse(NAME, f"{x.shape[1]} frames, but num_frames={self.num_frames}")
        predictions = x if predictions is None else predictions
        check_shape(NAME, "predictions", predictions, (*x.shape[:2], self.num_classes or "K"))
        logits = self.rta(x).squeeze(2)
        prob = weights = torch.sigmoid(logits)
        if noise is not None:
            check_shape(NAME, "noise", noise, tuple(logits.shape))
        if noise is not None or self.training:
            weights = choose(prob, noise, generator, self.training)
        log_prob = bernoulli_log_prob(logits, weights)
        if mask is not None:
            weights, log_prob = weights.masked_fill(~mask, 0), log_prob.masked_fill(~mask, 0)
        return Attended(self._pool(weights, predictions), weights, prob, log_prob)

    def _pool(self, weights: Tensor, predictions: Tensor) -> Tensor:
        pooled = torch.einsum("bt,btk->bk", weights, predictions)
        return normalized(pooled, weights) if self.normalize else pooled


def normalized(pooled: Tensor, weights: Tensor) -> Tensor:
    """Over the sum of the weights; without any frame, zero."""
    total = weights.sum(1, keepdim=True)
    return pooled / total.masked_fill(total == 0, 1)


def reference_call(
    module: ReinforcedTemporal,
    x: Tensor,
    predictions: Tensor,
    noise: Tensor,
    reward: Tensor,
    baseline: Tensor,
) -> dict[str, Tensor]:
    """What a reference case records: both kinds of weights, both sums, and the policy gradient."""
    drawn = module.attend(x, predictions, noise=noise)
    plain = torch.einsum("bt,btk->bk", drawn.prob, predictions)
    summed = torch.einsum("bt,btk->bk", drawn.weights, predictions)
    with torch.enable_grad():
        again = module.attend(x.detach(), predictions.detach(), noise=noise)
        ascent = -policy_loss(again.log_prob, reward, baseline)
    parameters = dict(module.rta.named_parameters())
    gradients = torch.autograd.grad(ascent, list(parameters.values()))
    return {
        "prob": drawn.prob,
        "weights_sampled": drawn.weights,
        "log_prob": drawn.log_prob.sum(1),
        "video_eval": plain,
        "video_sampled": summed,
        "video_normalized_eval": normalized(plain, drawn.prob),
        "video_normalized_sampled": normalized(summed, drawn.weights),
        **{f"reinforce_grad_{k}": g for k, g in zip(parameters, gradients, strict=True)},
    }
