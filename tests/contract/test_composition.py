"""Any attention in any backbone: places, keys, forms, and logits that do not move."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import zoo
from zoo.build.attention import build_attention
from zoo.errors import IncompatibleBackboneError, OptionError, UnknownNameError, UsageError
from zoo.insertion import Target, insert
from zoo.registry import default_registry
from zoo.registry.catalogue import goes_into_backbones
from zoo.registry.specs import AttentionSpec

REGISTRY = default_registry()
MIXES = [
    s
    for s in REGISTRY.attentions.values()
    if goes_into_backbones(s) and s.insertion.role != "replace_mixer"
]
BACKBONES = (
    "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "regnety_008", "efficientnet_b0",
    "mobilenetv2_100", "mobilenetv3_small_100", "convnext_atto", "densenet121", "vgg11_bn",
    "repvgg_a0", "swin_tiny_patch4_window7_224",
)  # fmt: skip
NARROW = {"channels": (16, 32, 64, 128)}  # a quarter of resnet18's, to save time
by_name = pytest.mark.parametrize("spec", MIXES, ids=lambda spec: spec.name)


def trained(name: str, **options: object) -> nn.Module:
    """A backbone as training leaves it: no norm scale at zero, no layer scale near it."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.rand_like(parameter) * 0.5 + 0.5)
    return model


def put(model: nn.Module, spec: AttentionSpec, name: str, size: int, form: str) -> list[str]:
    target = Target(model=model, name=name, img_size=(size, size), in_chans=3)

    def build(channels: int, **more: object) -> nn.Module:
        return build_attention(spec, REGISTRY, channels, more)

    return insert(target, spec, build, insertion=form)  # pyright: ignore[reportArgumentType]


def warm_form(spec: AttentionSpec) -> str:
    return spec.insertion.identity if spec.insertion.role == "refine" else "residual"


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.long
@by_name
def test_goes_into_resnet18(spec: AttentionSpec) -> None:
    model = zoo.create_model(f"{spec.name}_resnet18", num_classes=7, img_size=64, **NARROW)
    plain = timm.create_model("resnet18", num_classes=7, **NARROW).state_dict()
    if spec.insertion.role == "refine":
        assert plain.keys() <= model.state_dict().keys()
    assert model.default_cfg["input_size"] == (3, 64, 64)
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    other = 64 if spec.insertion.needs_size else 96
    assert model.eval()(torch.randn(1, 3, other, other)).shape == (1, 7)
    assert model.forward_head(model.forward_features(torch.randn(1, 3, 64, 64))).shape == (1, 7)


@by_name
def test_warm_start_moves_no_logit_and_learns(spec: AttentionSpec) -> None:
    model = trained("resnet18", **NARROW)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        paths = put(model, spec, "resnet18", 64, warm_form(spec))
        assert_same(model.eval()(x), expected)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.05)
    for step in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.tensor([1, 3])).backward()
        optimizer.step()
        moved = {n for n, p in model.named_parameters() if not torch.equal(p, start[n])}
        if step == 0:
            for path in paths:
                own = [n for n in start if _is_of_attention(n, path)]
                assert not own or moved & set(own), f"{path} did not move"


def _is_of_attention(name: str, path: str) -> bool:
    return name.startswith(f"{path}.") and name != f"{path}.weight"


@pytest.mark.parametrize("name", BACKBONES)
def test_se_goes_into(name: str) -> None:
    size = 224 if "swin" in name else 64
    model = trained(name)
    before = model.state_dict().keys()
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = model(x)
        paths = put(model, REGISTRY.attentions["se"], name, size, "exact")
        assert_same(model.eval()(x), expected)
    assert before <= model.state_dict().keys()
    assert all(".attn." in key for key in model.state_dict().keys() - before if "gate" not in key)
    assert not any(path.startswith(("stem", "conv1", "act1", "patch_embed")) for path in paths)


@pytest.mark.parametrize("name", ["se_densenet121", "sk_resnet18"])
def test_copies_and_pickles_whatever_the_way_in(name: str) -> None:
    model = zoo.create_model(name, insertion="residual").eval()
    x = torch.randn(1, 3, 64, 64)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin(x), model(x))


@pytest.mark.parametrize("name", ["se_resnet18", "eca_convnext_atto", "gc_regnety_002"])
def test_is_a_timm_model(name: str) -> None:
    model = zoo.create_model(name, num_classes=3, in_chans=1).eval()
    x = torch.randn(1, 1, 64, 64)
    assert model(x).shape == (1, 3)
    maps = model.forward_intermediates(x, indices=2, intermediates_only=True)
    assert [m.shape[1] for m in maps] == [i["num_chs"] for i in model.feature_info[-2:]]
    features = zoo.create_model(name, in_chans=1, features_only=True, out_indices=(1, 2)).eval()
    assert [m.shape[1] for m in features(x)] == features.feature_info.channels()
    assert model.get_classifier().out_features == 3
    model.reset_classifier(0)
    assert model(x).shape == (1, model.num_features)
    model.set_grad_checkpointing(True)
    model.train()(torch.randn(2, 1, 64, 64)).sum().backward()
    assert model.group_matcher().keys() >= {"stem", "blocks"}


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["plain", "exact", "residual"])
def test_scripts_and_exports(form: str) -> None:
    with timm.layers.set_scriptable(True):
        model = zoo.create_model("cbam_resnet18", insertion=form).eval()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(torch.jit.script(model)(x), model(x))
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["bam_test_convnext", "bam_test_byobnet"])
def test_scripts_behind_a_stage_that_is_a_module(name: str) -> None:
    with timm.layers.set_scriptable(True):
        model = zoo.create_model(name).eval()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(torch.jit.script(model)(x), model(x))


def test_own_attention_is_kept_unless_replaced() -> None:
    plain = timm.create_model("regnety_002").state_dict()
    added = zoo.create_model("eca_regnety_002")
    assert plain.keys() <= added.state_dict().keys()
    replaced = zoo.create_model("eca_regnety_002", replace=True)
    assert not any(".se.fc1." in key for key in replaced.state_dict())
    assert replaced.zoo.sites[0] == "s1.b1.se"
    with pytest.raises(IncompatibleBackboneError, match="no attention of its own"):
        zoo.create_model("eca_resnet18", replace=True)


def test_sites_say_where() -> None:
    every = zoo.create_model("se_resnet18").zoo.sites
    assert every == [f"layer{i}.{j}.se" for i in range(1, 5) for j in range(2)]
    some = zoo.create_model("se_resnet18", sites=["layer3", "layer4.1.*"]).zoo.sites
    assert some == ["layer3.0.se", "layer3.1.se", "layer4.1.se"]
    stages = zoo.create_model("resnet18", attention="se", sites="stage").zoo.sites
    assert stages == [f"layer{i}.attn" for i in range(1, 5)]
    anywhere = zoo.create_model("resnet18", attention="se", sites=["layer2.0.conv1"])
    assert anywhere.layer2[0].conv1.attn is not None
    with pytest.raises(IncompatibleBackboneError, match="no place for se in resnet18 matches"):
        zoo.create_model("se_resnet18", sites=["layer9"])


def test_a_model_is_rebuilt_from_its_config() -> None:
    model = zoo.create_model(
        "cbam_resnet18", attention_options={"reduction": 8}, sites=["layer2"], insertion="exact"
    ).eval()
    stated: Any = model.zoo
    arguments = {key: getattr(stated, key) for key in ("attention_options", "sites", "insertion")}
    twin = zoo.create_model(stated.name, **arguments, **stated.options)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(twin.eval()(x), model(x))


def test_quadratic_mechanisms_stay_off_large_maps() -> None:
    sites = zoo.create_model("non_local_vgg11_bn").zoo.sites
    assert sites == ["features.13", "features.20", "features.27", "features.28"]
    with pytest.raises(IncompatibleBackboneError, match="positions"):
        put(trained("resnet18"), REGISTRY.attentions["non_local"], "resnet18", 4096, "plain")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({"name": "cbam_resnt50"}, UnknownNameError, "cbam_resnet50"),
        ({"name": "cbma_resnet50"}, UnknownNameError, "cbam_resnet50"),
        ({"name": "se_vit_tiny_patch16_224"}, IncompatibleBackboneError, "no feature map"),
        ({"name": "sk_vgg11"}, IncompatibleBackboneError, "spatial convolution"),
        ({"name": "resnet18", "widht": 3}, OptionError, "no option 'widht'"),
        ({"name": "se_resnet18", "attention_options": {"redction": 2}}, OptionError, "reduction"),
        ({"name": "se_resnet18", "attention": "eca"}, UsageError, "second one"),
        ({"name": "resnet18", "sites": "block"}, UsageError, "no attention"),
        ({"name": "simam_resnet18", "insertion": "exact"}, UsageError, "identity"),
        ({"name": "se_resnet18", "insertion": "sideways"}, UsageError, "none of"),
        ({"name": "se_resnet18", "num_classes": -1}, UsageError, "num_classes"),
        ({"name": "se_resnet18", "in_chans": 0}, UsageError, "in_chans"),
        ({"name": "se_resnet18", "num_classes": 2.5}, UsageError, "num_classes"),
    ],
)
def test_wrong_calls_name_the_thing_and_the_remedy(call: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        zoo.create_model(**call)
