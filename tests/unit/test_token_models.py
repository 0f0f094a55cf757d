"""Whole models of attention on tokens: mixers in vision transformers, and small classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import zoo
from zoo.build.assemble import _insert as put_attention  # pyright: ignore[reportPrivateUsage]
from zoo.build.plan import Plan
from zoo.errors import IncompatibleBackboneError, OptionError
from zoo.registry import default_registry
from zoo.registry.targets import resolve

SMALL: dict[str, Any] = {"img_size": 64, "depth": 2, "num_classes": 5}
VIT = "vit_tiny_patch16_224"
MODELS = ("slot_cnn_64", "perceiver_64", "xslot_resnet18")
NEAR = {  # least cosine at timm's start, where attention is flat
    "efficient": 0.99,
    "random_feature": 0.97,
    "clustered": 0.999,
    "smyrf": 0.98,
    "multi_head": 0.999999,
    "talking_heads": 0.999999,
}


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    """A file of a plain vision transformer's weights, and its logits."""
    torch.manual_seed(0)
    model = timm.create_model(VIT, **SMALL).eval()
    path = tmp_path_factory.mktemp("vit") / "vit.safetensors"
    save_file(model.state_dict(), path)
    with torch.no_grad():
        return path, model(randn(2, 3, 64, 64))


def warm(name: str, path: Path, insertion: str, **options: Any) -> Any:
    """As `pretrained=True` does with published weights: first load, then insert."""
    model = timm.create_model(VIT, **SMALL, checkpoint_path=str(path))
    return _insert(model, name, insertion, options).eval()


def _insert(model: Any, name: str, insertion: Any, options: dict[str, Any]) -> Any:
    spec = default_registry().attentions[name]
    plan = Plan(
        name=f"{name}_{VIT}", attention=spec, backbone=VIT, attention_options=options,
        insertion=insertion, options=SMALL,
    )  # fmt: skip
    put_attention(plan, default_registry(), model)
    return model


def _features(model: Any, x: Tensor) -> Tensor:
    return model.forward_head(model.forward_features(x), pre_logits=True)


@pytest.mark.parametrize("name", NEAR)
@torch.no_grad()
def test_in_the_place_of_attention_it_starts_near(
    name: str, published: tuple[Path, Tensor]
) -> None:
    """In the features before the classifier; the nearer for the weights that it takes over."""
    path, _ = published
    x = randn(2, 3, 64, 64)
    expected = _features(timm.create_model(VIT, **SMALL, checkpoint_path=str(path)).eval(), x)
    near = torch.cosine_similarity(_features(warm(name, path, "plain"), x), expected).min()
    cold: Any = zoo.create_model(f"{name}_{VIT}", **SMALL)
    own = {k: v for k, v in cold.state_dict().items() if ".attn.attn." in k}
    cold.load_state_dict({**load_file(path), **own}, strict=False)
    assert near > NEAR[name]
    assert near > torch.cosine_similarity(_features(cold.eval(), x), expected).max()


@pytest.mark.parametrize("name", NEAR)
@torch.no_grad()
def test_beside_attention_it_moves_no_logit(name: str, published: tuple[Path, Tensor]) -> None:
    path, expected = published
    form = default_registry().attentions[name].insertion.identity
    model = warm(name, path, form)
    torch.testing.assert_close(model(randn(2, 3, 64, 64)), expected, rtol=1e-4, atol=1e-5)


def test_a_map_attention_on_tokens_is_built_again_from_its_record() -> None:
    model: Any = zoo.create_model(f"efficient_{VIT}", insertion="exact", **SMALL).eval()
    record = model.zoo
    again: Any = zoo.create_model(
        record.name, **record.options, insertion=record.insertion,
        attention_options=record.attention_options, sites=record.sites,
    ).eval()  # fmt: skip
    again.load_state_dict(model.state_dict())
    x = randn(1, 3, 64, 64)
    torch.testing.assert_close(again(x), model(x))


def test_map_attention_without_a_form_on_tokens_is_refused() -> None:
    with pytest.raises(IncompatibleBackboneError, match="no feature map"):
        zoo.create_model(f"se_{VIT}", **SMALL)
    with pytest.raises(OptionError, match="reduction"):
        zoo.create_model(f"efficient_{VIT}", attention_options={"reduction": 2}, **SMALL)


def test_what_is_not_the_same_function_is_no_exact_start() -> None:
    options = {"num_heads": 3, "head_dim": 16}
    with pytest.raises(IncompatibleBackboneError, match="exact"):
        zoo.create_model(f"multi_head_{VIT}", insertion="exact", attention_options=options, **SMALL)


@torch.no_grad()
def test_normalised_queries_and_keys_are_carried_over() -> None:
    plain: Any = timm.create_model(VIT, qk_norm=True, **SMALL).eval()
    for block in plain.blocks:
        block.attn.q_norm.weight.uniform_(0.5, 2)
        block.attn.k_norm.bias.normal_()
    x = randn(2, 3, 64, 64)
    expected = plain(x)
    model = _insert(plain, "multi_head", "exact", {}).eval()
    assert type(model.blocks[0].attn).__name__ == "Mixer"
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_classifiers_have_timms_interface(name: str) -> None:
    model: Any = zoo.create_model(name, num_classes=5)
    x = randn(2, 3, 64, 64)
    model(x).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(x[:1]), model(x)[:1], rtol=1e-4, atol=1e-5)
        features = model.forward_features(x)
        torch.testing.assert_close(model.forward_head(features), model(x))
        pooled = model.forward_head(features, pre_logits=True)
        assert pooled.shape == (2, model.num_features)
        model.reset_classifier(0)
        torch.testing.assert_close(model(x), pooled)
        model.reset_classifier(3)
        assert model(x).shape == (2, 3)
    small: Any = zoo.create_model(name, num_classes=0, in_chans=1)
    assert small(x[:, :1]).shape == (2, model.num_features)


@pytest.mark.parametrize(("name", "count"), [("slot_cnn_64", 7), ("xslot_resnet18", 5)])
@torch.no_grad()
def test_classifiers_show_where_they_look(name: str, count: int) -> None:
    model: Any = zoo.create_model(name, num_classes=5).eval()
    maps = model.attention_maps(randn(2, 3, 64, 96))["attention"]
    assert maps.shape[:2] == (2, count)
    assert maps.shape[3] * 2 == maps.shape[2] * 3
    assert float(maps.min()) >= 0 and float(maps.max()) <= 1
    if name.startswith("slot"):
        torch.testing.assert_close(maps.sum(1), torch.ones_like(maps[:, 0]))


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (128, 40)])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_classifiers_take_any_size(name: str, size: tuple[int, int]) -> None:
    model: Any = zoo.create_model(name, num_classes=5).eval()
    assert bool(model(randn(1, 3, *size)).isfinite().all())


def test_scouter_is_trained_for_small_explanations() -> None:
    """The loss is the cross-entropy, and lambda times the mean attention to the power."""
    model: Any = zoo.create_model("xslot_resnet18", num_classes=5, power=2).eval()
    objective = resolve(default_registry().models["xslot_resnet18"].objective, "tests")
    images, targets = randn(2, 3, 64, 64), torch.tensor([1, 4])
    logits, shares = model.attend(images)
    for weight in (0.0, 1.0, 10.0):
        loss, logged = objective(model, area_weight=weight)(images, targets, 0.5)
        expected = torch.nn.functional.cross_entropy(logits, targets) + weight * shares.mean() ** 2
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(logged["area_loss"], shares.mean().detach() ** 2)
    assert objective(model).wrong(model, images, targets)["val_error"] <= 2
    with pytest.raises(OptionError, match="no slots"):
        objective(torch.nn.Linear(2, 2))
    model.reset_classifier(0)
    with pytest.raises(OptionError, match="no class"):
        model.attention_maps(images)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_weights_for_other_classes_lose_only_what_there_is_of_a_class(
    name: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"slots_per_class": 2} if name.startswith("xslot") else {}
    model: Any = zoo.create_model(name, num_classes=5, **options).eval()
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    x = randn(1, 3, 64, 64)
    same: Any = zoo.create_model(
        name, num_classes=5, weights=tmp_path / "model.safetensors", **options
    )
    torch.testing.assert_close(same.eval()(x), model(x))
    other: Any = zoo.create_model(
        name, num_classes=3, weights=tmp_path / "model.safetensors", **options
    )
    assert other.eval()(x).shape == (1, 3)
    new = {key for key, tensor in other.state_dict().items() if not tensor.equal(state[key])}
    head = "fc.slots." if name.startswith("xslot") else "head."
    assert new and all(key.startswith(head) for key in new)
