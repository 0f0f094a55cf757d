"""In which form attention goes into a pretrained network, and that it is not dead there."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import zoo
from zoo.build.attention import build_attention
from zoo.errors import SpecError
from zoo.insertion.starts import ALPHA, residual_alpha
from zoo.registry import default_registry
from zoo.registry.specs import Insertion
from zoo.testing.learning import is_dead
from zoo.testing.warm_start import check_warm_start

ATTENTIONS = default_registry().attentions
# as their constructors leave them
BUILT_AS_IDENTITY = ("adl", "dasnet", "non_local", "spatial_transformer")
BUILT_AS_ANOTHER = ("cbam", "se", "double_attention", "global_context", "style_recalibration")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a backbone."""
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    torch.manual_seed(3)
    save_file(zoo.create_model("test_resnet", num_classes=5).state_dict(), path)
    return path


def warm(name: str, file: Path, **options: Any) -> nn.Module:
    return zoo.create_model("test_resnet", attention=name, backbone_weights=file, **options)


def tuned(model: nn.Module, steps: int = 3) -> nn.Module:
    model = copy.deepcopy(model).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    for step in range(steps):
        x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), torch.arange(4)).backward()
        optimiser.step()
    return model


@pytest.mark.parametrize("name", BUILT_AS_IDENTITY)
def test_a_residual_whose_f_is_x_is_exact_and_learns(name: str, file: Path) -> None:
    options = {"pretrained_cfg_overlay": {"input_size": (3, 64, 64)}}
    model = warm(name, file, insertion="residual", **options)
    x = torch.randn(2, 3, 64, 64)
    plain = zoo.create_model("test_resnet", weights=file).eval()
    torch.testing.assert_close(model.eval()(x), plain(x), rtol=1e-5, atol=1e-6)
    after = dict(tuned(model).named_parameters())
    own = model.state_dict().keys() - plain.state_dict().keys()
    start = {n: p for n, p in model.named_parameters() if n in own}
    alphas = [p.item() for n, p in start.items() if n.endswith("alpha")]
    assert alphas == pytest.approx([ALPHA] * len(alphas))
    still = [n for n, p in start.items() if torch.equal(p, after[n])]
    assert [n for n in still if not is_dead(ATTENTIONS[name], n)] == []


@pytest.mark.parametrize("name", [*BUILT_AS_IDENTITY, *BUILT_AS_ANOTHER])
def test_alpha_is_small_only_where_f_is_x(name: str) -> None:
    more = {"feat_size": (8, 8)} if ATTENTIONS[name].insertion.needs_size else {}
    module = build_attention(ATTENTIONS[name], default_registry(), 16, more)
    start = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    assert residual_alpha(module) == (ALPHA if name in BUILT_AS_IDENTITY else 0.0)
    assert all(torch.equal(start[key], tensor) for key, tensor in module.state_dict().items())


def test_an_attention_that_cannot_start_so_keeps_alpha_0() -> None:
    module = build_attention(
        ATTENTIONS["double_attention"], default_registry(), 16, {"reconstruct": False}
    )
    assert residual_alpha(module) == 0.0


STEEP = [s for s in ATTENTIONS.values() if s.insertion.default_form == "residual"]


def test_the_form_that_a_spec_prefers_is_that_of_a_warm_start(file: Path) -> None:
    assert STEEP
    assert warm("cbam", file).zoo.insertion == "residual"  # pyright: ignore
    assert warm("cbam", file, insertion="exact").zoo.insertion == "exact"  # pyright: ignore
    assert warm("se", file).zoo.insertion == "exact"  # pyright: ignore
    assert zoo.create_model("cbam_test_resnet").zoo.insertion == "plain"  # pyright: ignore


@pytest.mark.parametrize(("form", "key"), [(None, "alpha"), ("exact", "gate_scale")])
def test_added_to_a_host_it_is_the_same_form(form: Any, key: str) -> None:
    host = nn.Sequential(nn.Conv2d(3, 16, 3))
    x: Tensor = torch.randn(2, 3, 8, 8)
    expected = host(x)
    zoo.add_attention(host, "cbam", at="0", example=x, insertion=form)
    assert key in {name.rpartition(".")[2] for name in host.state_dict()}
    torch.testing.assert_close(host.eval()(x), expected)


def test_files_in_the_form_that_was_the_default_still_load(file: Path, tmp_path: Path) -> None:
    """A bare state dict says by its keys in which form it was made."""
    old, bare = tuned(warm("cbam", file, insertion="exact")), tmp_path / "old.safetensors"
    save_file(old.state_dict(), bare)
    found = zoo.create_model("cbam_test_resnet", weights=bare)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(found.eval()(x), old.eval()(x))


@pytest.mark.parametrize(
    ("name", "message"), [("talking_heads", "times the plain"), ("adl", "points of accuracy")]
)
def test_the_kit_finds_the_steep_starts_of_real_networks(name: str, message: str) -> None:
    """Those of docs/warm-starts.md whose exact form lost a trained network its accuracy."""
    spec = default_registry().attentions[name]
    exact = replace(spec, insertion=replace(spec.insertion, default_form="exact"))
    with pytest.raises(AssertionError, match=message):
        check_warm_start(exact)


@pytest.mark.parametrize("name", ["emsa", "lambda_layer"])
def test_a_loud_mechanism_starts_as_a_branch_with_outputs_no_larger_than_its_inputs(
    name: str,
) -> None:
    torch.manual_seed(0)
    module, x = _loud(name)
    before = module(x).square().mean().sqrt()
    module.init_branch()  # pyright: ignore[reportCallIssue]
    after = module(x).square().mean().sqrt()
    assert before > 1 >= after > 0


def _loud(name: str) -> tuple[nn.Module, Tensor]:
    spec = default_registry().attentions[name]
    size = {"feat_size": (16, 16)} if spec.insertion.needs_size else {}
    module = build_attention(spec, default_registry(), 64, size)
    return module, torch.randn((2, 256, 64) if spec.contract == "tokens" else (2, 64, 16, 16))


def test_a_spec_cannot_prefer_what_it_cannot_do() -> None:
    with pytest.raises(SpecError, match="default_form"):
        Insertion(default_form="exact")
    with pytest.raises(SpecError, match="default_form"):
        Insertion(default_form="plain")  # pyright: ignore[reportArgumentType]
    exact = Insertion(identity="exact")
    assert exact.warm_form == "exact"
    assert replace(exact, default_form="residual").warm_form == "residual"
    assert replace(exact, role="replace_conv").warm_form == "residual"
