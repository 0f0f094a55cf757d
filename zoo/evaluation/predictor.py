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
from zoo.evaluation.fold import Seen, Watch, share_tensors
from zoo.evaluation.forms import AS_IT_IS, bring, candidates
from zoo.evaluation.remembered import Found, forget, key_of, recall, remember
from zoo.runtime.device import autocast_dtype, find_device

_PROBE = 2  # images on which the forms of a model are compared
# On a CPU, larger maps are mapped and cleared anew by the allocator at every use (glibc's bound is
# 32 MiB), which costs up to a sixth of the time; batches are computed in parts that stay below.
LARGEST_MAP = 30 << 20
_log = logging.getLogger(__name__)


class Predictor:
    """From uint8 (B, H, W, C) to logits float32 (B, K), or (B, L, K) of sequences, on the device.

    The first call compares forms of the model on its first images, in float32: first with batch
    norms folded, channels-last memory and (on x86 CPUs) activations computed with the convolutions
    before them, then without the last of these, then with channels-last memory alone. The first
    form whose logits move by no more than `tolerance`, and whose first class stays, is used from
    then on. If there is none, the model is used as it is. `form` says which it is. The model that
    was given is not changed.

    Args:
        remembers: keep the form in the user's cache, and take it from there the next time, where
            weights, code, versions and machine are the same (`zoo.evaluation.remembered`).

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
        remembers: bool = False,
    ) -> None:
        self.settings = settings or Preprocessing.of(model)
        self.device = find_device(device)
        self.autocast = autocast_dtype(self.device, amp)
        self.form, self._part = "", 0
        self._given, self.sequence = model, sequence_of(model)
        self._model = _on_device(model, self.device)
        floats = (p.dtype for p in self._model.parameters() if p.is_floating_point())
        self._dtype = next(floats, torch.float32)
        self._key = self._key_of(model) if remembers else ""

    def _key_of(self, model: nn.Module) -> str:
        """What the form is remembered by; "" where somebody's hooks make the model another one."""
        if any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()):
            return ""
        more = {"autocast": self.autocast, "sequence": bool(self.sequence)}
        return key_of(model, tuple(self.settings.input_size), self.device, **more)

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
        """Take the form of the model that was found before, or find it; logits of `x` in it."""
        known = recall(self._key) if self._key else None
        if known is not None:
            logits = self._try(known.form, known.seen, known.part, x)
            if logits is not None:
                return logits
            forget(self._key)
        return self._find(x)

    def _find(self, x: Tensor) -> Tensor | None:
        """Take the first form of the model that gives its logits; those of `x` in that form."""
        reference, seen = self._reference(x[:_PROBE])
        part, logits = self._part_of(seen, len(x[:_PROBE])), None
        for form in candidates(seen, self.device, self.autocast or self._dtype):
            logits = self._try(form, seen, part, x, reference)
            if logits is not None:
                break
        else:
            self.form, self._part = AS_IT_IS, 0
        if self._key:
            remember(self._key, Found(self.form, self._part, seen))
        return logits

    def _try(
        self, form: str, seen: Seen, part: int, x: Tensor, reference: Tensor | None = None
    ) -> Tensor | None:
        """Logits of `x` in a form, which is then taken; None if it fails or they are not
        `reference`'s. Where there is no reference they must be finite."""
        try:
            self._part = part
            bring(self._model, form, seen)
            with torch.inference_mode():
                logits = self._logits(x)
            first = logits[:_PROBE]
            if len(logits) == len(x) and agrees(first, first if reference is None else reference):
                self.form = form
                return logits
        except Exception as error:  # a form that cannot be built or run is one that we leave
            _log.debug("%s: %s", form, error)
        self._part, self._model = 0, _on_device(self._given, self.device)
        return None

    def _reference(self, x: Tensor) -> tuple[Tensor, Seen]:
        try:
            # Not inference mode: its tensors have no version, which `Watch` compares.
            with torch.no_grad(), Watch(self._model) as watch:
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
        return logits, watch.seen

    def _part_of(self, seen: Seen, images: int) -> int:
        """How many images are computed at once; 0 for all."""
        if self.device.type != "cpu" or not seen.largest:
            return 0
        return max(1, LARGEST_MAP * images // seen.largest)


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
