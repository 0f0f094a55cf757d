"""How much of a pretrained backbone is left after the first steps of training with attention.

    python benchmarks/warm_training.py --lite0 FILE --photographs DIR --cifar DIR

For each mechanism and form, in each of the backbones of `warm_backbones.py`: how far the logits
move when it is inserted; the norm of the gradient of all parameters at step 0 over that of the
plain backbone; top-1 and cross-entropy on held-out images after 20 and 200 steps, of AdamW and SGD,
with the same batches as the plain backbone, in five orders; and which parameters of the attention
have not moved by then. `--steps 0` measures the start alone, which takes minutes.

Runs that are in --out are kept, so that the call can be repeated until all are there. It is written
after each. `python docs/generate.py` renders it.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn
from warm_backbones import BACKBONES, CACHE, Backbone, Data, accuracy

import zoo
from zoo.hosts.freeze import inserted_parameters
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve
from zoo.runtime.files import write_atomically

OPTIMISERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, float]]] = {
    "AdamW 1e-3": (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.0}),
    "AdamW 1e-4": (torch.optim.AdamW, {"lr": 1e-4, "weight_decay": 0.0}),
    "SGD 0.01": (torch.optim.SGD, {"lr": 0.01}),
}
FORMS = ("default", "exact", "residual")
SHORT, LONG = 20, 200
Row = dict[str, Any]


class Bench:
    """The record, and what is measured for it.

    Args:
        weights: the file of each backbone.
        out: the record; what it holds already is kept.
    """

    def __init__(self, data: Data, weights: dict[str, Path], out: Path) -> None:
        self.data, self.weights, self.out = data, weights, out
        self.rows: dict[str, Row] = json.loads(out.read_text())["rows"] if out.exists() else {}
        self.plain: dict[str, Tensor] = {}

    def model(self, backbone: Backbone, name: str, form: str, seed: int) -> nn.Module:
        """The backbone with its weights, and with the attention, if there is a name."""
        torch.manual_seed(seed)
        asked = {} if form == "default" else {"insertion": form}
        if backbone.at:
            return _added(backbone, name, asked)
        more: dict[str, Any] = {"attention": name, **asked} if name else {}
        chosen = "backbone_weights" if name else "weights"
        file = self.weights[_key(backbone)]
        return zoo.create_model(backbone.timm_name, **{chosen: file}, **more, **backbone.options)

    def start(self, backbone: Backbone, name: str, form: str, orders: int) -> None:
        """Measure step 0, if that is not known."""
        row = self.row(backbone, name, form)
        if len(row.get("norms", ())) >= orders:
            return
        model = self.model(backbone, name, form, 0)
        row["form"] = _form(backbone, model, name, form)
        row["parameters"] = sum(p.numel() for p in inserted_parameters(model)) if name else 0
        row["logits"] = self._moved(backbone, model) if name else 0.0
        state = deepcopy(model.state_dict())
        row["norms"] = []
        for order in range(orders):
            model.load_state_dict(state)
            row["norms"].append(_norm(model, self._first(backbone, order), order))
        self.write()

    def run(
        self, backbone: Backbone, name: str, form: str, optimiser: str, order: int, steps: int
    ) -> None:
        """Train for so many steps, if that is not known, and measure on the way."""
        done = self.row(backbone, name, form).setdefault("runs", {}).setdefault(optimiser, {})
        if str(steps) in done.get(str(order), {}):
            return
        model = self.model(backbone, name, form, order)
        own = {id(p) for p in inserted_parameters(model)} if name else set[int]()
        watched = {n: p.detach().clone() for n, p in model.named_parameters() if id(p) in own}
        kind, settings = OPTIMISERS[optimiser]
        steps_taken = _train(
            model, kind(model.parameters(), **settings), self.data.batches(backbone, order)
        )
        found: Row = {}
        taken = 0
        for at in sorted({min(SHORT, steps), steps}):
            for _ in islice(steps_taken, at - taken):
                pass
            taken = at
            top1, loss = accuracy(model, self.data.held_out(backbone, order))
            found[str(at)] = {"top1": round(top1, 2), "loss": round(loss, 3)}
        found["still"] = _still(model, watched, _dead(name))
        done[str(order)] = found
        self.write()

    def row(self, backbone: Backbone, name: str, form: str) -> Row:
        return self.rows.setdefault(f"{_key(backbone)}/{name or 'plain'}/{form}", {})

    def write(self) -> None:
        record = {"torch": torch.__version__, "rows": self.rows}
        write_atomically(self.out, (json.dumps(record, indent=1) + "\n").encode())

    def _first(self, backbone: Backbone, order: int) -> tuple[Tensor, Tensor]:
        return next(self.data.batches(backbone, order))

    @torch.no_grad()
    def _moved(self, backbone: Backbone, model: nn.Module) -> float:
        """The largest difference of the logits from the plain backbone's, over their largest."""
        x, _ = self._first(backbone, 0)
        key = _key(backbone)
        if key not in self.plain:
            self.plain[key] = self.model(backbone, "", "default", 0).eval()(x)
        wanted = self.plain[key]
        found = model.eval()(x)
        return ((found - wanted).abs().amax() / wanted.abs().amax()).item()


def _added(backbone: Backbone, name: str, asked: dict[str, Any]) -> nn.Module:
    """A network with the weights that come with the zoo, and attention at the places named."""
    model = zoo.create_model(backbone.timm_name, pretrained=True)
    if name:
        example = torch.zeros(2, 3, backbone.size, backbone.size)
        role = default_registry().attentions[name].insertion.role
        zoo.add_attention(model, name, at=backbone.at[role], example=example, **asked)
    return model


def _form(backbone: Backbone, model: Any, name: str, form: str) -> str:
    """The form in which it stands there."""
    if not name or form != "default":
        return form if name else "plain"
    spec = default_registry().attentions[name]
    return spec.insertion.warm_form if backbone.at else model.zoo.insertion


def _key(backbone: Backbone) -> str:
    return next(key for key, known in BACKBONES.items() if known is backbone)


def _norm(model: nn.Module, batch: tuple[Tensor, Tensor], seed: int) -> float:
    torch.manual_seed(seed)  # for what drops or draws
    model.zero_grad()
    nn.functional.cross_entropy(model.train()(batch[0]), batch[1]).backward()
    found = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    return round(torch.stack(found).norm().item(), 4)


def _train(
    model: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterator[tuple[Tensor, Tensor]]
) -> Iterator[float]:
    for x, labels in batches:
        loss = nn.functional.cross_entropy(model.train()(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield loss.item()


def _still(model: nn.Module, watched: dict[str, Tensor], dead: tuple[str, ...]) -> list[str]:
    """The parameters that are where they were, but for those that can have no gradient."""
    now = dict(model.named_parameters())
    same = [name for name, start in watched.items() if torch.equal(now[name], start)]
    return [name for name in same if not any(re.search(d, name.split(".attn.")[-1]) for d in dead)]


def _dead(name: str) -> tuple[str, ...]:
    return default_registry().attentions[name].trial.dead_parameters if name else ()


def forms(spec: AttentionSpec, wanted: list[str]) -> list[str]:
    """Of the wanted forms those that the mechanism has beside its default."""
    default = spec.insertion.warm_form
    can = {"default", "residual"} | ({"exact"} if spec.insertion.identity == "exact" else set())
    return [form for form in wanted if form in can - {default}]


def work(backbone: Backbone, only: list[str], wanted: list[str]) -> Iterator[tuple[str, str]]:
    """(mechanism, form), the plain backbone first."""
    yield "", "default"
    for name, spec in default_registry().attentions.items():
        if _stands(spec, backbone) and (not only or name in only):
            for form in forms(spec, wanted):
                yield name, form


def _stands(spec: AttentionSpec, backbone: Backbone) -> bool:
    """Whether the backbone has places for it, as what it is or as a form on tokens."""
    if spec.insertion.role in backbone.roles:
        return True
    if spec.insertion.role != "refine" or "replace_mixer" not in backbone.roles:
        return False
    target = resolve(spec.target, default_registry().owner(spec))
    return spec.insertion.folds_tokens or hasattr(target, "token_mixer")


def attempt(
    bench: Bench, backbone: Backbone, given: argparse.Namespace, name: str, form: str
) -> None:
    """One row; what cannot be built says why in the record."""
    try:
        bench.start(backbone, name, form, given.orders)
        for order in range(given.orders if given.steps else 0):
            for optimiser in given.optimisers:
                bench.run(backbone, name, form, optimiser, order, given.steps)
    except zoo.ZooError as error:
        bench.row(backbone, name, form)["refused"] = str(error)
        bench.write()


def said(bench: Bench, backbone: Backbone, name: str, form: str) -> str:
    """A row in one line."""
    row, plain = bench.row(backbone, name, form), bench.row(backbone, "", "default")
    if "norms" not in row:
        return f"{name:28} {form:8} {row.get('refused')}"
    ratio = mean(row["norms"]) / mean(plain["norms"])
    ends = {
        o: [round(mean(r[s]["top1"] for r in runs.values() if s in r), 1) for s in ("20", "200")
            if any(s in r for r in runs.values())]
        for o, runs in row.get("runs", {}).items()
    }  # fmt: skip
    still = {n for runs in row.get("runs", {}).values() for r in runs.values() for n in r["still"]}
    return (
        f"{name or 'plain':28} {form:8} {row['form']:8} norm x{ratio:.2f} "
        f"logits {row['logits']:.1e} {ends} still {len(still)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--lite0", type=Path, help="the weights of tf_efficientnet_lite0")
    parser.add_argument(
        "--photographs", type=Path, help="<wnid>/<file>, one class of ImageNet each"
    )
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 in parquet files")
    parser.add_argument("--cache", type=Path, default=CACHE, help="trained by warm_backbones.py")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--only", nargs="+", default=[], help="mechanisms")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["default"])
    parser.add_argument("--optimisers", nargs="+", choices=OPTIMISERS, default=list(OPTIMISERS))
    parser.add_argument("--steps", type=int, choices=(0, SHORT, LONG), default=LONG)
    parser.add_argument("--orders", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("zoo").setLevel(logging.ERROR)
    weights = {"efficientnet_lite0": given.lite0} if given.lite0 else {}
    weights |= {n: given.cache / f"{n}.safetensors" for n in BACKBONES if n not in weights}
    bench = Bench(Data(photographs=given.photographs, cifar=given.cifar), weights, given.out)
    for key in given.backbones:
        for name, form in work(BACKBONES[key], given.only, given.forms):
            attempt(bench, BACKBONES[key], given, name, form)
            print(said(bench, BACKBONES[key], name, form), flush=True)


if __name__ == "__main__":
    main()
