"""Every place that an attention is given runs, moves the output and gets a gradient."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest
import timm
import torch
from timm.layers import convert_sync_batchnorm, freeze_batch_norm_2d
from timm.optim import param_groups_layer_decay
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import zoo
from zoo.errors import IncompatibleBackboneError
from zoo.insertion import Target, insert
from zoo.insertion.families import block_sites, blocks
from zoo.insertion.layers import is_layer
from zoo.insertion.probe import fake_copy, probe
from zoo.registry.specs import AttentionSpec, Insertion

pytestmark = pytest.mark.long

GATE = AttentionSpec(name="gate", target="test_places:Gate")
# one backbone of each kind of block, and of each way to find the ends of stages
BLOCKS = {
    "test_resnet": {}, "res2net50_48w_2s": {}, "skresnet18": {}, "skresnet50": {}, "resnest14d": {},
    "regnetx_002": {}, "regnetz_005": {}, "hrnet_w18_small": {}, "test_byobnet": {},
    "resnet61q": {}, "repvgg_a0": {}, "mobileone_s0": {}, "test_efficientnet": {},
    "mobilenetv3_small_050": {}, "efficientnetv2_rw_t": {}, "mobilenetv4_conv_small": {},
    "convnext_atto": {}, "densenet121": {"block_config": (2, 2, 2, 2)}, "nf_regnet_b0": {},
    "resnetv2_50": {},
    "vgg11_bn": {"mlp_ratio": 1 / 16}, "swin_tiny_patch4_window7_224": {"depths": (1, 1, 1, 1)},
}  # fmt: skip
STAGES = {
    "densenet121": {}, "mobilenetv3_small_050": {}, "mobilenetv4_conv_small": {},
    "eca_nfnet_l0": {}, "dpn48b": {}, "dla34": {}, "legacy_seresnet18": {}, "inception_v3": {},
    "xception41p": {}, "repvgg_a0": {}, "regnetx_002": {},
}  # fmt: skip
# the slowest of these, slow tests
HEAVY = ("mobileone_s0", "efficientnetv2_rw_t", "inception_v3", "eca_nfnet_l0")
SIZES = {"swin_tiny_patch4_window7_224": 224, "inception_v3": 96, "xception41p": 64}


class Gate(nn.Module):
    """x * scale: the least attention that there can be."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def gated(name: str, placement: str, **options: object) -> tuple[nn.Module, list[str]]:
    """A backbone as training leaves it (no scale at zero), with a gate at each place."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim <= 1:
                parameter.copy_(torch.rand_like(parameter) * 0.5 + 0.5)
    return model, put(model, name, placement)


def put(model: nn.Module, name: str, sites: str | list[str] | None) -> list[str]:
    size = SIZES.get(name, 32)
    target = Target(model=model, name=name, img_size=(size, size), in_chans=3)
    return insert(target, GATE, lambda channels, **_: Gate(channels), sites=sites)


def last_map(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.forward_intermediates(x, indices=1, intermediates_only=True)[0]


def gates(model: nn.Module) -> Iterator[tuple[str, Gate]]:
    return ((path, m) for path, m in model.named_modules() if isinstance(m, Gate))


@pytest.mark.parametrize(
    ("name", "placement"),
    [
        pytest.param(name, place, marks=[pytest.mark.slow] if name in HEAVY else [])
        for place, names in (("block", BLOCKS), ("stage", STAGES))
        for name in names
    ],
)
@pytest.mark.filterwarnings("ignore:.*Initializing zero-element tensors")
def test_each_site_runs_moves_the_output_and_gets_a_gradient(name: str, placement: str) -> None:
    model, paths = gated(name, placement, **{**STAGES, **BLOCKS}[name])
    found = dict(gates(model))
    assert len(found) == len(paths) > 0
    x = torch.randn(1, 3, SIZES.get(name, 32), SIZES.get(name, 32))
    expected = model(x)
    expected.square().sum().backward()
    still = [path for path, gate in found.items() if gate.scale.grad is None]
    still += [path for path, gate in found.items() if not gate.scale.grad.any()]
    for path, gate in found.items():
        with torch.no_grad():
            gate.scale.mul_(1.5)
            if torch.equal(model(x), expected):
                still.append(path)
            gate.scale.div_(1.5)
    assert not still


@pytest.mark.parametrize("name", ["densenet121", "eca_nfnet_l0", "mobilenetv3_small_050", "dpn48b"])
def test_the_last_map_has_the_attention_of_the_last_stage(name: str) -> None:
    model, paths = gated(name, "stage")
    x = torch.randn(1, 3, 64, 64)
    expected = last_map(model, x)
    with torch.no_grad():
        dict(gates(model))[max(p for p, _ in gates(model) if p.startswith(paths[-1]))].scale.mul_(2)
    assert not torch.equal(last_map(model, x), expected)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", timm.list_models())
def test_each_site_of_every_architecture_gets_a_gradient(name: str) -> None:
    """On fake tensors: a gradient is there exactly where the output depends on the gate."""
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    if not any(True for _ in blocks(model)) or not block_sites(model):
        pytest.skip("no rule for its blocks")
    size = model.pretrained_cfg["input_size"][1:]
    with torch.device("meta"):
        put(model, name, "block")
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    twin = fake_copy(model, mode)
    with mode:
        twin(torch.empty(1, 3, *size, device="meta")).sum().backward()
    assert not [path for path, gate in gates(twin) if gate.scale.grad is None]


@pytest.mark.parametrize("convert", [freeze_batch_norm_2d, convert_sync_batchnorm])
@pytest.mark.parametrize(
    ("name", "placement"),
    [
        ("densenet121", "stage"), ("densenet121", "block"), ("mobilenetv3_small_050", "stage"),
        ("mobilenetv3_small_050", "block"), ("mobilenetv4_conv_small", "stage"),
        ("eca_nfnet_l0", "stage"), ("test_resnet", "block"), ("dpn48b", "stage"),
    ],
)  # fmt: skip
def test_norms_are_converted_around_the_attention(
    name: str, placement: str, convert: object
) -> None:
    model, paths = gated(name, placement)
    with torch.no_grad():
        for _, gate in gates(model):
            gate.scale.copy_(torch.rand_like(gate.scale) + 0.5)
        x = torch.randn(1, 3, 64, 64)
        expected = model(x)
        model = convert(model)  # pyright: ignore[reportCallIssue]
        assert len(list(gates(model))) == len(paths)
        torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("name", STAGES)
def test_no_layer_carries_an_attention_and_no_stem_has_one(name: str) -> None:
    with torch.device("meta"):
        model, paths = gated(name, "stage")
    modules = dict(model.named_modules())
    for path, _ in gates(model):
        parents = [path[:i] for i, letter in enumerate(path) if letter == "."]
        assert not [p for p in parents if is_layer(modules[p])]
    stems = ("bn1", "conv1", "act1", "features.norm0", "features.conv1_1", "layer0", "level0")
    assert not [p for p in paths if p.startswith((*stems, "stem", "Conv2d", "conv_stem"))]


def test_a_norm_that_is_named_is_refused_before_the_attention_is_lost() -> None:
    with pytest.raises(IncompatibleBackboneError, match="layer1.0.bn1 of resnet18 is a norm"):
        zoo.create_model("se_resnet18", sites=["layer1.0.bn1"])
    model = timm.create_model("resnet18")
    assert put(model, "resnet18", ["layer1.0.act1"]) == ["layer1.0.act1"]
    assert type(model.layer1[0].act1.base) is nn.ReLU


@pytest.mark.parametrize("name", ["twins_svt_small", "mvitv2_tiny"])
def test_names_of_no_module_are_no_places(name: str) -> None:
    with pytest.raises(IncompatibleBackboneError, match="no feature map"):
        zoo.create_model(f"se_{name}")


def test_the_other_stages_are_places_where_one_is_no_module() -> None:
    with torch.device("meta"):
        model = timm.create_model("mobilenetv5_base")  # its feature_info names a bn1
        assert put(model, "mobilenetv5_base", None) == [f"blocks.{i}.attn" for i in range(4)]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("axial_hrnet_w18_small", 64), ("bottleneck_resnetaa50", 96), ("bottleneck_resnet18", 70),
        ("axial_convnext_atto", 75), ("bottleneck_densenet121", 70), ("gaussian_resnet18", 70),
    ],
)  # fmt: skip
def test_attention_tied_to_a_size_takes_the_size_it_was_built_for(name: str, size: int) -> None:
    model = zoo.create_model(name, num_classes=2, img_size=size).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, size, size)).shape == (1, 2)


def test_quadratic_attention_keeps_its_limit_where_maps_are_larger_than_stages_say() -> None:
    with torch.device("meta"):
        model = timm.create_model("hrnet_w18_small")
        target = Target(model=model, name="hrnet_w18_small", img_size=(512, 512), in_chans=3)
        spec = AttentionSpec(
            name="gate", target="test_places:Gate", insertion=Insertion(quadratic=True)
        )
        paths = insert(target, spec, lambda channels, **_: Gate(channels))
    image = torch.empty(1, 3, 512, 512, device="meta")
    calls = {call.path: call.gives for call in probe(model, image)}
    positions = {p: calls[p].shape[2] * calls[p].shape[3] for p in paths}
    assert len(positions) > 10
    assert max(positions.values()) == 4096


def test_places_are_found_again_by_their_paths() -> None:
    paths = put(timm.create_model("eca_nfnet_l0"), "eca_nfnet_l0", "stage")
    assert paths == [f"stages.{i}.attn" for i in range(4)]
    assert put(timm.create_model("eca_nfnet_l0"), "eca_nfnet_l0", paths) == paths


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("resnet18", "layer2.1.conv2.weight"),
        ("convnext_atto", "stages.1.blocks.1.mlp.fc2.weight"),
        ("densenet121", "features.denseblock2.denselayer12.conv2.weight"),
        ("mobilenetv3_small_050", "blocks.1.1.conv_pwl.weight"),
        ("regnetx_002", "s2.b1.conv3.conv.weight"),
    ],
)
def test_attention_after_a_stage_learns_as_fast_as_its_last_block(name: str, last: str) -> None:
    plain = scales(timm.create_model(name))
    model, paths = gated(name, "stage")
    found = scales(pickle.loads(pickle.dumps(copy.deepcopy(model))))
    assert {n: s for n, s in found.items() if n in plain} == plain
    gate = next(
        n for n in found if n.endswith("scale") and n not in plain and n.startswith(paths[1])
    )
    assert found[gate] == plain[last] < 1


def scales(model: nn.Module) -> dict[str, float]:
    """timm's learning-rate scale of each parameter under layer decay."""
    names = {id(p): name for name, p in model.named_parameters()}
    groups = param_groups_layer_decay(model, layer_decay=0.9, no_opt_scale=None)
    return {names[id(p)]: group["lr_scale"] for group in groups for p in group["params"]}


def test_a_pass_on_fake_tensors_leaves_no_trace() -> None:
    model = timm.create_model("levit_128s").eval()  # keeps a cache in evaluation mode
    model.stages[0].train()
    model.head.drop_out = 0.3
    seen: list[object] = []
    model.register_forward_hook(lambda *_: seen.append(1))
    flags = [m.training for m in model.modules()]
    state = copy.deepcopy(model.state_dict())
    calls = probe(model, torch.empty(1, 3, 224, 224))
    assert calls[-1].path == "" and calls[-1].gives.shape == (1, 1000)
    assert flags == [m.training for m in model.modules()] and not seen
    torch.testing.assert_close(dict(model.state_dict()), dict(state), rtol=0, atol=0)
    with torch.no_grad():
        assert model(torch.randn(1, 3, 224, 224)).shape == (1, 1000)


def test_depthwise_convolutions_that_an_attention_refuses_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = zoo.create_model("split_attention_efficientnet_es", num_classes=2).eval()
    assert {path.rpartition(".")[2] for path in model.zoo.sites} == {"conv_exp"}
    assert "left out 11 of 18 places" in caplog.text
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 2)
    with pytest.raises(IncompatibleBackboneError, match="not divisible"):
        zoo.create_model("split_attention_efficientnet_b0")
    with pytest.raises(IncompatibleBackboneError, match="not divisible"):
        zoo.create_model("split_attention_efficientnet_es", sites="block")
