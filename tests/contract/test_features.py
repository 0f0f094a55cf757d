"""`features_only`: timm's extractor of each family, held against timm's own."""

from __future__ import annotations

import copy
import pickle

import pytest
import timm
import torch
from timm.models._features import FeatureGetterNet, FeatureHookNet, FeatureListNet
from torch import Tensor, nn

import zoo
from zoo.errors import UsageError
from zoo.explain.maps.sites import inserted

FAMILIES = {  # the class that timm's extractor is of
    "test_resnet": "FeatureListNet",
    "test_byobnet": "FeatureListNet",  # flattened
    "test_convnext": "FeatureListNet",
    "test_efficientnet": "EfficientNetFeatures",
    "test_vit": "FeatureGetterNet",
    "mobilenetv3_small_050": "MobileNetV3Features",
    "pit_ti_224": "FeatureHookNet",
}
SLOW = {
    "dla34": "FeatureListNet",
    "hrnet_w18_small": "HighResolutionNetFeatures",
    "selecsls42": "FeatureListNet",
    "tresnet_m": "FeatureListNet",
    "vit_tiny_patch16_224": "FeatureGetterNet",
    "xception41": "FeatureHookNet",
}
families = pytest.mark.parametrize(
    ("backbone", "kind"),
    [*FAMILIES.items(), *(pytest.param(*row, marks=pytest.mark.slow) for row in SLOW.items())],
)
OWN = ("residual_attention_56_cifar_small", "se_resnet20_cifar", "cnn2_mnist", "slot_cnn_64")


def image(model: nn.Module, batch: int = 2) -> Tensor:
    return torch.randn(batch, *model.pretrained_cfg["input_size"])


@families
def test_it_is_timms_own(backbone: str, kind: str) -> None:
    ours = zoo.create_model(backbone, features_only=True).eval()
    theirs = timm.create_model(backbone, features_only=True).eval()
    assert type(ours).__name__ == type(theirs).__name__ == kind
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = image(theirs, 1)
    maps = ours(x)
    assert len(maps) == len(theirs.feature_info.channels())
    torch.testing.assert_close(maps, theirs(x))
    assert hasattr(ours, "set_grad_checkpointing")


@families
def test_attention_adds_keys_and_is_seen_in_the_maps(backbone: str, kind: str) -> None:
    attention = "multi_head" if "vit" in backbone else "simam" if "pit" in backbone else "eca"
    if backbone == "pit_ti_224":
        pytest.skip("takes no attention")
    name = f"{attention}_{backbone}"
    torch.manual_seed(0)
    whole = zoo.create_model(name).eval()
    torch.manual_seed(0)
    features = zoo.create_model(name, features_only=True).eval()
    own = {
        k for k in timm.create_model(backbone, features_only=True).state_dict() if ".attn" not in k
    }
    assert own <= features.state_dict().keys()
    x, indices = image(whole, 1), list(features.feature_info.out_indices)
    if hasattr(whole, "forward_intermediates"):
        expected = whole.forward_intermediates(x, indices=indices, intermediates_only=True)
        torch.testing.assert_close(features(x), expected)


@pytest.mark.parametrize(
    "name", ["se_test_resnet", "se_test_byobnet", "se_test_convnext", "multi_head_test_vit"]
)
@pytest.mark.parametrize("insertion", ["plain", "residual"])
def test_the_attention_of_an_extractor_is_found(name: str, insertion: str) -> None:
    """Whatever timm renames: its parameters, their rates, and what it does to the maps."""
    whole = zoo.create_model(name, insertion=insertion)
    features = zoo.create_model(name, insertion=insertion, features_only=True)
    wanted = [p.shape for p in zoo.attention_parameters(whole)]
    assert [p.shape for p in zoo.attention_parameters(features)] == wanted
    groups = zoo.parameter_groups(features, lr=1.0, attention_lr_scale=2.0)
    assert sum(len(g["params"]) for g in groups if g["lr"] == 2.0) == len(wanted)
    assert [each.name for each in inserted(features)] == [each.name for each in inserted(whole)]


@pytest.mark.parametrize("name", OWN)
def test_a_network_of_its_own_keeps_the_classifiers_keys(name: str) -> None:
    whole = zoo.create_model(name).eval()
    features = zoo.create_model(name, features_only=True).eval()
    assert features.load_state_dict(whole.state_dict(), strict=False).missing_keys == []
    x = image(whole)
    maps = features(x)
    assert [m.shape[1] for m in maps] == features.feature_info.channels()
    last = whole.get_submodule(whole.feature_info[-1]["module"])
    seen: list[Tensor] = []
    last.register_forward_hook(lambda _m, _i, out: seen.append(out))
    whole(x)
    torch.testing.assert_close(maps[-1], seen[0])
    for again in (copy.deepcopy(features), pickle.loads(pickle.dumps(features))):
        torch.testing.assert_close(again(x), maps)


@pytest.mark.parametrize(
    ("asked", "channels"),
    [(2, [192, 256]), ((0, -1), [64, 256]), ([1], [64]), (5, [64, 64, 128, 192, 256])],
)
def test_out_indices_are_timms(asked: object, channels: list[int]) -> None:
    theirs = timm.create_model("test_resnet", features_only=True, out_indices=asked)
    ours = zoo.create_model("eca_test_resnet", features_only=True, out_indices=asked).eval()
    assert ours.feature_info.channels() == theirs.feature_info.channels()
    assert [m.shape[1] for m in ours(torch.randn(1, 3, 64, 64))] == theirs.feature_info.channels()


@pytest.mark.parametrize("asked", [0, 6, -1, (5,), (), True, (1.5,), "12"])
def test_maps_that_there_are_not_are_refused(asked: object) -> None:
    with pytest.raises(UsageError, match="out_indices"):
        zoo.create_model("eca_test_resnet", features_only=True, out_indices=asked)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [("list", FeatureListNet), ("getter", FeatureGetterNet), ("hook", FeatureHookNet),
     (FeatureGetterNet, FeatureGetterNet)],
)  # fmt: skip
def test_another_class_gives_the_same_maps(asked: object, kind: type) -> None:
    x = torch.randn(1, 3, 64, 64)
    torch.manual_seed(0)
    usual = zoo.create_model("eca_test_resnet", features_only=True).eval()
    torch.manual_seed(0)
    other = zoo.create_model("eca_test_resnet", features_only=True, feature_cls=asked).eval()
    assert isinstance(other, kind)
    torch.testing.assert_close(other(x), usual(x))


def test_a_class_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="none of list, dict, hook, fx, getter"):
        zoo.create_model("eca_test_resnet", features_only=True, feature_cls="tree")


@pytest.mark.parametrize("name", ["eca_test_resnet", "multi_head_test_vit", *OWN[:1]])
def test_checkpointing_changes_no_gradient(name: str) -> None:
    model = zoo.create_model(name, features_only=True).train()
    x, gradients = image(model), []
    for enable in (False, True):
        again = copy.deepcopy(model)
        again.set_grad_checkpointing(enable)
        torch.manual_seed(0)
        sum(m.square().mean() for m in again(x)).backward()
        gradients.append([p.grad for p in again.parameters() if p.grad is not None])
    assert gradients[0]
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_it_scripts_where_timms_does() -> None:
    with timm.layers.set_scriptable(True):
        model = zoo.create_model("eca_test_resnet", features_only=True).eval()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(torch.jit.script(model)(x), model(x))
