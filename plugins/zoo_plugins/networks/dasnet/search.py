"""Training of dasNet: the base by cross-entropy, then its policy by SNES (arXiv 1407.3068).

A generation draws P policies and measures each on the same batch:

    fitness = - mean_i w_i (- log p_T(y_i)) - decay |theta|^2

after the last pass; w is `boost[0]` for images that the base alone gets right and `boost[1]` for
the others, so that the search works on what feedback could mend.

The step is given to the optimizer as a gradient: with SGD at rate r and momentum m theta moves by
r / (1 - m) of what SNES says, so that 1 without momentum is SNES itself, and 0.1 with timm's 0.9
comes near. sigma is a buffer of the model: a run goes on from its checkpoint.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.sdk import AtLeast, NonNegativeFloat
from zoo_plugins.mechanisms.reinforcement.dasnet_snes import Snes
from zoo_plugins.networks.dasnet.network import DasNetwork

NAME = "policy_search"


class PolicySearch:
    """Objective of `DasNetwork`, for `zoo train`.

    Args:
        phase: `base` trains the CNN alone by cross-entropy (its first pass); `policy` leaves it as
            it is and searches for theta.
        population, center_lr, sigma_lr: see `Snes`.
        boost: weights of the images that the base gets right, and wrong; (0.005, 1).
        decay: of theta, 0.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        phase: Literal["base", "policy"] = "policy",
        population: Annotated[int, AtLeast(2)] | None = None,
        center_lr: float = 1.0,
        sigma_lr: float | None = None,
        boost: tuple[NonNegativeFloat, NonNegativeFloat] = (0.005, 1.0),
        decay: NonNegativeFloat = 0.0,
    ) -> None:
        if not isinstance(model, DasNetwork):
            raise OptionError(f"{type(model).__name__} has no policy", where=f"objective {NAME!r}")
        self.model = model
        self.phase, self.boost, self.decay = phase, boost, decay
        self.search = Snes(
            model.policy.theta.numel(), population=population, center_lr=center_lr,
            sigma_lr=sigma_lr,
        )  # fmt: skip
        model.base.requires_grad_(self.phase == "base")
        model.policy.requires_grad_(self.phase == "policy")

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, what to log) of a batch; its gradient is that of SNES in the policy's phase."""
        if self.phase == "base":
            logits = self.model.base(images)
            error = (logits.detach().argmax(-1) != targets).float().mean()
            return F.cross_entropy(logits, targets), {"train_error": 100 * error}
        self.model.base.eval()  # as it was trained: no dropout, no new statistics
        return self._generation(images, targets)

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many the last pass gets wrong, and the base alone."""
        assert isinstance(model, DasNetwork)
        passes = model.passes(images)
        named = {"val_error": passes[-1], "val_error_base": passes[0]}
        return {k: (v.argmax(-1) != targets).sum().float() for k, v in named.items()}

    def _generation(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        theta, sigma = self.model.policy.theta, self.model.sigma
        mean = theta.detach().flatten().clone()
        noise = torch.randn(self.search.population, len(mean), device=mean.device)
        noise = noise.to(mean.dtype)
        with torch.no_grad():
            plain = self.model.base(images)
            right = plain.argmax(-1) == targets
            weight = torch.where(right, self.boost[0], self.boost[1]).to(plain.dtype)
            fitness = torch.stack(
                [self._fitness(row, images, targets, weight) for row in noise * sigma + mean]
            )
            theta.copy_(mean.view_as(theta))
            found = self.search.step(mean, sigma, noise, fitness)
            sigma.copy_(found.sigma)
        direction = (found.mean - mean).view_as(theta)
        loss = -(theta * direction).sum()
        loss = loss - loss.detach() - fitness.mean()
        error = 100 * (1 - right.float().mean())
        return loss, {"base_error": error, "sigma": sigma.mean()}

    def _fitness(self, row: Tensor, images: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        self.model.policy.theta.copy_(row.view_as(self.model.policy.theta))
        loss = F.cross_entropy(self.model(images), targets, reduction="none")
        return -(weight * loss).mean() - self.decay * row.square().sum()
