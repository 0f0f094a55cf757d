"""Every attention in every kind of backbone: it works, or it is refused with the reason.

`python tests/contract/test_matrix.py [BACKBONE...]` runs the pairs (all of them take an
hour or more) and writes what each did into `benchmarks/composition.json` and `.md`. Pairs that
are there are left out, so that a run can be taken up again; `--again` runs them anew.
"""

from __future__ import annotations

import copy
import json
import sys
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

import zoo
from zoo.build.attention import build_attention
from zoo.build.init_mode import SkipInit
from zoo.errors import ZooError
from zoo.insertion import Target, insert
from zoo.insertion.mixers import heard
from zoo.registry import default_registry
from zoo.registry.catalogue import goes_into_backbones
from zoo.registry.constructor import option_names
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve
from zoo.runtime.files import write_atomically

REGISTRY = default_registry()
SPECS = sorted(
    (s for s in REGISTRY.attentions.values() if goes_into_backbones(s)), key=lambda s: s.name
)
BACKBONES = {
    "resnet18": {}, "resnet50": {}, "resnext50_32x4d": {}, "wide_resnet50_2": {},
    "regnety_008": {}, "efficientnet_b0": {}, "mobilenetv2_100": {}, "mobilenetv3_small_100": {},
    "convnext_atto": {}, "densenet121": {}, "vgg11_bn": {"mlp_ratio": 1 / 16}, "repvgg_a0": {},
    "swin_tiny_patch4_window7_224": {"depths": (2, 2, 2, 2)},
    "vit_tiny_patch16_224": {
        "depth": 2, "img_size": 64, "class_token": False, "global_pool": "avg",
    },
}  # fmt: skip
FIXED = {"swin_tiny_patch4_window7_224": 224, "vit_tiny_patch16_224": 64}
OTHER_SIZE = (48, 80)
RECORD = Path(__file__).parents[2] / "benchmarks/composition.json"
RECORDED: dict[str, dict[str, str]] = json.loads(RECORD.read_text("utf-8"))
PAIRS = [(name, backbone) for backbone, row in RECORDED.items() for name in row]
HEAD = """\
# Which attention goes into which backbone

`python tests/contract/test_matrix.py` ran these pairs and wrote this file. A pair works (✓) when
`zoo.create_model("<attention>_<backbone>")` runs forward and backward at 64 x 64 and, unless one of
the two is tied to its input's size, at 48 x 80 (swin: at 224 x 224), gives feature maps and pooled
features, takes its own state dict back, and goes into the backbone without moving its logits.
Here swin has 2 blocks in its third stage, vit_tiny 2 blocks and no class token, and vgg a head of
256 channels, to save time. Numbers are reasons, below; an empty cell was not run.

"""


def check(name: str, backbone: str) -> str:
    """Run one pair; "" if all of it works, else the reason for which the zoo refuses it."""
    try:
        torch.manual_seed(0)
        check_runs(name, backbone)
        check_warm_start(REGISTRY.attentions[name], backbone)
    except ZooError as error:
        return error.what
    return ""


def check_runs(name: str, backbone: str) -> None:
    """Both sizes, forward and backward; copies of it by state dict, without head, as features."""
    size = FIXED.get(backbone, 64)
    options = {"img_size": size, **BACKBONES[backbone]}
    model = zoo.create_model(f"{name}_{backbone}", num_classes=5, **options)
    sizes = [(size, size)]
    if backbone not in FIXED and not REGISTRY.attentions[name].insertion.needs_size:
        sizes.append(OTHER_SIZE)
    for each in sizes:
        model(torch.randn(2, 3, *each)).sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(bool(g.isfinite().all()) for g in gradients)
    x, model = torch.randn(2, 3, size, size), model.eval()
    expected = run(model, x)
    assert expected.shape == (2, 5) and bool(expected.isfinite().all())
    with SkipInit():
        twin = zoo.create_model(f"{name}_{backbone}", num_classes=5, **options).eval()
        bare = zoo.create_model(f"{name}_{backbone}", num_classes=0, **options).eval()
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(run(twin, x), expected)
    body = {k: v for k, v in model.state_dict().items() if k in bare.state_dict()}
    bare.load_state_dict(body)
    assert run(bare, x).shape == (2, getattr(bare, "head_hidden_size", bare.num_features))
    with SkipInit():
        features = zoo.create_model(f"{name}_{backbone}", features_only=True, **options).eval()
    features.load_state_dict({k: v for k, v in body.items() if k in features.state_dict()}, False)
    check_maps(features, x)


def check_maps(features: nn.Module, x: Tensor) -> None:
    """One map for each stage, with the channels and the reduction that are stated."""
    maps, info = run(features, x), features.feature_info
    channels = 3 if getattr(features, "output_fmt", "NCHW") == "NHWC" else 1
    found = [(m.shape[channels], x.shape[2] // m.shape[2 if channels == 1 else 1]) for m in maps]
    assert found == list(zip(info.channels(), info.reduction(), strict=True))


def check_warm_start(spec: AttentionSpec, backbone: str) -> None:
    """Put into a trained backbone, it moves no logit."""
    size = FIXED.get(backbone, 64)
    plain, x, expected = trained(backbone, size)
    model = copy.deepcopy(plain)
    target = Target(model=model, name=backbone, img_size=(size, size), in_chans=3)

    accepted = option_names(resolve(spec.target, REGISTRY.owner(spec)))

    def build(channels: int, **more: object) -> nn.Module:
        return build_attention(spec, REGISTRY, channels, heard(more, accepted))

    form = spec.insertion.identity if spec.insertion.role == "refine" else "residual"
    insert(target, spec, build, insertion=form)
    assert plain.state_dict().keys() <= model.state_dict().keys()
    assert (run(model.eval(), x) - expected).abs().max() <= 1e-4 * expected.abs().max()


@cache
def trained(backbone: str, size: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A backbone as training leaves it (no norm scale at zero), an input and its logits."""
    model = timm.create_model(backbone, num_classes=5, **BACKBONES[backbone]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.rand_like(parameter) * 0.5 + 0.5)
    x = torch.randn(2, 3, size, size)
    return model, x, run(model, x)


def run(model: nn.Module, x: Tensor) -> Tensor:
    """The output, without a graph."""
    with torch.no_grad():
        return model(x)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backbone"), PAIRS)
def test_goes_in_or_is_refused(name: str, backbone: str) -> None:
    assert check(name, backbone) == RECORDED[backbone][name], (
        "run python tests/contract/test_matrix.py"
    )


def test_the_table_shows_the_record() -> None:
    assert RECORD.with_suffix(".md").read_text("utf-8") == table(RECORDED)
    failed = [
        f"{a}_{b}" for b, row in RECORDED.items() for a, r in row.items() if r.startswith("!")
    ]
    assert not failed


def table(record: dict[str, dict[str, str]]) -> str:
    """The record as a table, attentions down and backbones across, with the reasons below."""
    rows = [sorted(record.get(backbone, {}).items()) for backbone in BACKBONES]
    reasons = list(dict.fromkeys(reason for row in rows for _, reason in row if reason))
    numbers = {"": "✓"} | {reason: str(i) for i, reason in enumerate(reasons, 1)}
    lines = [f"| attention | {' | '.join(BACKBONES)} |", "|---" * (len(BACKBONES) + 1) + "|"]
    for spec in SPECS:
        found = (record.get(backbone, {}).get(spec.name) for backbone in BACKBONES)
        cells = ("" if reason is None else numbers[reason] for reason in found)
        lines.append(f"| `{spec.name}` | {' | '.join(cells)} |")
    counts = Counter(bool(reason) for row in record.values() for reason in row.values())
    lines += ["", f"{counts[False]} pairs work, {counts[True]} are refused.", ""]
    lines += [f"{number}. {' '.join(r.split())}" for r, number in numbers.items() if r]
    return HEAD + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Run the pairs of these backbones; what each did is written at once."""
    record, again = RECORDED, "--again" in arguments
    backbones = [a for a in arguments if a != "--again"]
    for backbone in backbones or BACKBONES:
        row = record.setdefault(backbone, {})
        for spec in (s for s in SPECS if again or s.name not in row):
            try:
                row[spec.name] = check(spec.name, backbone)
            except Exception as error:  # anything but a refusal is a failure, and shown as such
                row[spec.name] = f"! {type(error).__name__}: {error}"
                traceback.print_exc()
            print(f"{spec.name}_{backbone}: {row[spec.name] or 'works'}", flush=True)
            write_atomically(RECORD, f"{json.dumps(record, indent=1, sort_keys=True)}\n".encode())
            write_atomically(RECORD.with_suffix(".md"), table(record).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
