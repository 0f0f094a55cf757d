"""What a user's process does with pretrained models: `python pretrained_ops.py '[[OP, {...}]]'`.

Prints a JSON list, one object a call, with what was logged. Needs a Hub at `HF_ENDPOINT`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import timm
import torch
from torch import nn

import zoo


class Log(logging.Handler):
    """Keeps what is said at the level of a warning or above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def image(channels: int = 3, size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, channels, size, size, generator=generator)


@torch.no_grad()
def logits(model: nn.Module, channels: int = 3) -> torch.Tensor:
    return model.eval()(image(channels))


def compare(name: str, timm_name: str, **options: Any) -> dict[str, Any]:
    """Our pretrained model beside timm's own of the same repository."""
    before = torch.get_rng_state()
    ours = zoo.create_model(name, pretrained=True, **options)
    moved = not torch.equal(before, torch.get_rng_state())
    theirs = timm.create_model(timm_name, pretrained=True)
    a, b = logits(ours), logits(theirs)
    state, other = ours.state_dict(), theirs.state_dict()
    return {
        "logits_equal": torch.equal(a, b),
        "relative": ((a - b).abs().max() / b.abs().max()).item(),
        "states_equal": state.keys() == other.keys()
        and all(torch.equal(state[key], other[key]) for key in state),
        "backbone_equal": all(torch.equal(state[key], other[key]) for key in other),
        "random_state_moved": moved,
        "weights": ours.zoo.weights,
        "insertion": ours.zoo.insertion,
    }


def create(name: str, **options: Any) -> dict[str, Any]:
    """A pretrained model: its logits' shape, whether all of it is finite, and a digest of it."""
    model = zoo.create_model(name, pretrained=True, **options)
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.numpy().tobytes())
    finite = all(torch.isfinite(p).all().item() for p in model.parameters())
    shape = list(logits(model, options.get("in_chans", 3)).shape)
    return {"shape": shape, "finite": finite, "digest": digest.hexdigest()}


def threads(name: str) -> dict[str, Any]:
    """The same model from four threads at once, and once more alone."""
    with ThreadPoolExecutor(4) as pool:
        digests = {row["digest"] for row in pool.map(create, [name] * 4)}
    return {"digests": sorted(digests | {create(name)["digest"]})}


def nested(name: str) -> dict[str, Any]:
    """Another thread builds a model of its own, at random, while this one loads."""
    with ThreadPoolExecutor(2) as pool:
        loading = [pool.submit(create, name) for _ in range(4)]
        fresh = timm.create_model("resnet18")
        [task.result() for task in loading]
    return {"spread": fresh.layer4[1].conv2.weight.std().item()}


def call(op: str, arguments: dict[str, Any]) -> dict[str, Any]:
    log = Log()
    logging.getLogger("zoo").addHandler(log)
    try:
        return {"ok": True, **globals()[op](**arguments), "log": " ".join(log.lines)}
    except zoo.ZooError as error:
        return {"ok": False, "error": type(error).__name__, "what": str(error)}
    finally:
        logging.getLogger("zoo").removeHandler(log)


if __name__ == "__main__":
    print(json.dumps([call(op, arguments) for op, arguments in json.loads(sys.argv[1])]))
