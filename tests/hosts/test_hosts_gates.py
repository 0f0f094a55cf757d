"""Gates on the skip connections of U-Nets: two inputs, and the host's outputs unmoved."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import own_hosts
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.errors import IncompatibleBackboneError, UsageError

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
OWN = [{"x": "encoders.1", "gate": "encoders.2"}, {"x": "encoders.0", "gate": "decoders.1"}]


def own() -> Any:
    torch.manual_seed(0)
    return own_hosts.UNet().eval()


def gated(at: Any = OWN, **options: Any) -> Any:
    return zoo.add_attention(own(), "attention_gate", at=at, example=X, **options)


def moved(model: nn.Module) -> nn.Module:
    """The gates away from where they started."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in zoo.attention_parameters(model):
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def by_hand(model: Any, x: Tensor) -> Tensor:
    """The forward of the U-Net with its gates written into it, as one would by hand."""
    low, high = model.decoders[0].attention_gate, model.decoders[1].attention_gate
    skips: list[Tensor] = []
    for i, encoder in enumerate(model.encoders):
        x = encoder(x if i == 0 else nn.functional.max_pool2d(x, 2))
        skips.append(x)
    for i, gate in ((1, high), (0, low)):
        skip = skips[i] + gate.alpha * (gate.attn(skips[i], x) - skips[i])
        up = nn.functional.interpolate(x, scale_factor=2.0)
        y = torch.cat((skip, up), 1)
        for layer in model.decoders[i]:
            y = layer(y)
        x = y
    return model.head(x)


def test_the_outputs_stay_and_every_parameter_learns() -> None:
    model, before = gated(), own()(X)
    assert torch.equal(model(X), before)
    model.train()
    optimizer = torch.optim.Adam(zoo.attention_parameters(model), lr=0.01)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        model(X).square().mean().backward()
        optimizer.step()
    still = {n for n, p in model.named_parameters() if torch.equal(p, start[n])}
    dead = {n for n in still if "attention_gate" in n}
    assert dead <= {f"decoders.{i}.attention_gate.attn.project.0.bias" for i in (0, 1)}


def test_it_computes_what_one_would_write_by_hand() -> None:
    model = moved(gated())
    torch.testing.assert_close(model(X), by_hand(model, X))
    assert not torch.allclose(model(X), own()(X), atol=1e-3)


def test_plain_insertion_is_the_mechanism_itself() -> None:
    model = gated(OWN[0], insertion="plain")
    skip = {}
    model.encoders[1].register_forward_hook(lambda m, i, o: skip.update(x=o))
    model.encoders[2].register_forward_hook(lambda m, i, o: skip.update(g=o))
    model.decoders[1][0].register_forward_pre_hook(lambda m, i: skip.update(given=i[0]))
    model(X)
    wanted = model.decoders[1].attention_gate.attn(skip["x"], skip["g"])
    torch.testing.assert_close(skip["given"][:, : wanted.shape[1]], wanted)


def test_copies_pickles_exports_and_files(tmp_path: Path) -> None:
    model = moved(gated())
    expected = model(X)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(X), expected)
        with torch.no_grad():
            zoo.attention_parameters(again)[-1].add_(1)  # and it is one of its own
        assert torch.equal(model(X), expected)
    exported = torch.export.export(model, (X,)).module()
    torch.testing.assert_close(exported(X), expected)
    fresh = own()
    zoo.load_attention(fresh, zoo.save_attention(model, tmp_path / "g.safetensors"), strict=True)
    assert torch.equal(fresh(X), expected)


def test_taken_out_the_host_is_as_it_was() -> None:
    model, fresh = moved(gated()), own()
    assert zoo.remove_attention(model) == ["decoders.0.attention_gate", "decoders.1.attention_gate"]
    assert list(model.state_dict()) == list(fresh.state_dict())
    assert [type(m) for m in model.modules()] == [type(m) for m in fresh.modules()]
    assert torch.equal(model(X), fresh(X))


def test_the_unet_of_segmentation_models(tmp_path: Path) -> None:
    """Its decoder is handed the skip as an argument, not concatenated."""
    package = pytest.importorskip("segmentation_models_pytorch")
    model = package.Unet("resnet18", encoder_weights=None, decoder_channels=(32, 16, 16, 8, 8))
    x = torch.rand(1, 3, 64, 64)
    before = model.eval()(x)
    at = [
        {"x": "encoder.layer3", "gate": "encoder.layer4"},
        {"x": "encoder.layer2", "gate": "decoder.blocks.0"},
    ]
    zoo.add_attention(model, "attention_gate", at=at, example=x)
    assert torch.equal(model(x), before)
    assert not torch.allclose(moved(model)(x), before, atol=1e-4)


@pytest.mark.parametrize(
    ("at", "error", "text"),
    [
        ("encoders.1", UsageError, "gating signal"),
        (None, UsageError, "gating signal"),
        ({"x": "encoders.1"}, UsageError, "gating signal"),
        ({"x": "encoders.7", "gate": "encoders.2"}, UsageError, "no module"),
        ({"x": "encoders.*", "gate": "encoders.2"}, UsageError, "names 3 modules"),
        ({"x": "encoders.2", "gate": "encoders.1"}, IncompatibleBackboneError, "no module is"),
        ([OWN[0], {"x": "head", "gate": "head"}], IncompatibleBackboneError, "no module is"),
    ],
)
def test_what_is_no_skip_connection_is_refused(at: Any, error: Any, text: str) -> None:
    model = own()
    with pytest.raises(error, match=text):
        zoo.add_attention(model, "attention_gate", at=at, example=X)
    assert [type(m) for m in model.modules()] == [type(m) for m in own().modules()]


def test_other_misuse_is_named() -> None:
    with pytest.raises(UsageError, match="takes one map"):
        zoo.add_attention(own(), "se", at=OWN[0], example=X)
    with pytest.raises(UsageError, match="has a gate already"):
        zoo.add_attention(gated(), "attention_gate", at=OWN[0], example=X)
    with pytest.raises(IncompatibleBackboneError, match="add_attention"):
        zoo.create_model("attention_gate_resnet18")


def test_a_gate_that_is_taken_out_by_its_name_takes_its_signal_along() -> None:
    model = gated(OWN[0], name="low")
    zoo.add_attention(model, "attention_gate", at=OWN[1], example=X, name="high")
    assert zoo.remove_attention(model, "low") == ["decoders.1.low"]
    keys = [path for path, _ in model.named_modules() if path.endswith("_signal")]
    assert keys == ["decoders.1.high_signal"]
    zoo.remove_attention(model, "attention_gate")
    assert [type(m) for m in model.modules()] == [type(m) for m in own().modules()]


def test_a_file_of_a_larger_model_knows_the_gates_in_it(tmp_path: Path) -> None:
    model = nn.Sequential(moved(gated()), nn.Identity())
    expected = model(X)
    file = zoo.save_attention(model, tmp_path / "g.safetensors")
    zoo.remove_attention(model)
    assert torch.equal(zoo.load_attention(model, file, strict=True)(X), expected)
    with pytest.raises(UsageError, match="in another part"):
        zoo.save_attention(model[0].encoders, tmp_path / "part.safetensors")  # type: ignore[arg-type]


@pytest.mark.parametrize("signal_first", [True, False])
def test_what_a_gate_looks_at_is_the_same_in_a_loaded_model(
    signal_first: bool, tmp_path: Path
) -> None:
    """The signal is taken before or after another attention at the same module."""
    model = own()
    given = [("attention_gate", OWN[0], None), ("cbam", "encoders.2", "other")]
    for attention, at, name in given if signal_first else given[::-1]:
        zoo.add_attention(model, attention, at=at, example=X, name=name)
    expected = moved(model)(X)
    file = zoo.save_attention(model, tmp_path / "g.safetensors")
    assert torch.equal(zoo.load_attention(own(), file, strict=True)(X), expected)
