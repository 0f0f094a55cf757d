"""From bytes to logits, by the fastest form of a model that gives the model's own logits."""

from __future__ import annotations

import copy
import logging
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.preprocessing import Preprocessing
from zoo.data.sequences import sequence_of
from zoo.errors import OptionError, ZooError
from zoo.evaluation.fold import Watch, rewrite, share_tensors
from zoo.runtime.device import autocast_dtype, find_device

_PROBE = 2  # images on which the forms of a model are compared
# On a CPU, larger maps are mapped and cleared anew by the allocator at every use (glibc's bound is
# 32 MiB), which costs up to a sixth of the time; batches are computed in parts that stay below.
_LARGEST_MAP = 30 << 20
_log = logging.getLogger(__name__)


class Predictor:
    """From uint8 (B, H, W, C) to logits float32 (B, K), or (B, L, K) of sequences, on the device.

    The first call compares forms of the model on its first images, in float32: first with batch
    norms folded and channels-last memory, then with channels-last memory alone. The first form
    whose logits move by no more than `tolerance`, and whose first class stays, is used from then
    on. If there is none, the model is used as it is. `form` says which it is. The model that was
    given is not changed.

    Raises:
        OptionError: the model gives no logits.
        ZooError: it cannot take its input, or memory ran out; the message says what to do.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: Preprocessing | None = None,
        *,
        device: str | torch.device | None = None,
        amp: bool | None = None,
    ) -> None:
        self.settings = settings or Preprocessing.of(model)
        self.device = find_device(device)
        self.autocast = autocast_dtype(self.device, amp)
        self.form, self._part = "", 0
        self._given, self.sequence = model, sequence_of(model)
        self._model = _on_device(model, self.device)
        floats = (p.dtype for p in self._model.parameters() if p.is_floating_point())
        self._dtype = next(floats, torch.float32)

    @property
    def precision(self) -> str:
        return str(self.autocast or self._dtype).removeprefix("torch.")

    def __call__(self, pixels: Tensor) -> Tensor:
        try:
            x = self.settings.normalise(pixels, self.device).to(self._dtype)
            if not self.form:
                logits = self._choose(x)
                if logits is not None and not self.autocast:
                    return logits.float()  # of the first batch, made in the form that was chosen
            with torch.inference_mode(), self._precision():
                return self._logits(x).float()
        except torch.OutOfMemoryError as error:
            raise ZooError(
                f"{self.device} has no memory for {len(pixels)} images at once",
                remedy=f"--batch-size {max(1, len(pixels) // 2)}",
            ) from error

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, self.autocast) if self.autocast else nullcontext()

    def _logits(self, x: Tensor) -> Tensor:
        parts = x.split(self._part) if self._part else (x,)
        model = self._forward
        return torch.cat([model(part) for part in parts]) if len(parts) > 1 else model(x)

    @property
    def _forward(self) -> Any:
        model: Any = self._model
        return model.sequence if self.sequence else model

    def _choose(self, x: Tensor) -> Tensor | None:
        """Take the first form of the model that gives its logits; those of `x` in that form."""
        reference, pairs = self._reference(x[:_PROBE])
        forms = [("folded, channels-last", pairs)] if pairs else []
        for form, fold in [*forms, ("channels-last", [])]:
            try:
                rewrite(self._model, fold)
                with torch.inference_mode():
                    logits = self._logits(x)
                if len(logits) == len(x) and agrees(logits[:_PROBE], reference):
                    self.form = form
                    return logits
            except Exception as error:  # a form that cannot be built or run is one that we leave
                _log.debug("%s: %s", form, error)
            self._model = _on_device(self._given, self.device)
        self._part = 0
        self.form = "as it is"
        return None

    def _reference(self, x: Tensor) -> tuple[Tensor, list[tuple[str, str]]]:
        try:
            # Not inference mode: its tensors have no version, which `Watch` compares.
            with torch.no_grad(), Watch(self._model) as seen:
                logits: Any = self._forward(x)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # timm asserts, torch raises RuntimeError, plugins as they like
            raise ZooError(
                f"the model cannot take its input {tuple(x.shape[1:])}: {error}",
                remedy="check input_size of model.pretrained_cfg",
            ) from error
        shape = "(B, L, K)" if self.sequence else "(B, K)"
        if not isinstance(logits, Tensor) or logits.ndim != shape.count(",") + 1:
            raise OptionError(f"the model gives no logits {shape}", remedy="num_classes > 0")
        if self.device.type == "cpu" and seen.largest:
            self._part = max(1, _LARGEST_MAP * len(x) // seen.largest)
        return logits, seen.pairs


def agrees(logits: Tensor, reference: Tensor) -> bool:
    """Whether logits are close enough, and the first class of each is the same."""
    if logits.shape != reference.shape or not torch.isfinite(logits).all():
        return False
    moved = float((logits - reference).abs().max())
    same = torch.equal(logits.argmax(-1), reference.argmax(-1))
    return same and moved <= tolerance(float(reference.abs().max()))


def tolerance(largest: float) -> float:
    """How far logits may move: 1e-3 (less where the largest is below 1), or 1e-5 of the largest."""
    return max(1e-3 * min(1.0, largest), 1e-5 * largest)


def _on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """A private eval-mode form of the model on the device; tensors are shared where they can be."""
    tensors = [*model.parameters(), *model.buffers()]
    if all(
        tensor.device == device or tensor.device.type == device.type == "cpu" for tensor in tensors
    ):
        return share_tensors(model)
    return copy.deepcopy(model).eval().to(device)
