"""Which modules `at=` names, and where `list_sites` says that attention can go."""

from __future__ import annotations

import json
from typing import Any

import own_hosts
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import zoo
from zoo.cli import cli
from zoo.hosts.places import named

X = torch.rand(1, 3, 32, 32)
AT: dict[str, tuple[Any, list[str]]] = {
    "a path": ("stage1", ["stage1"]),
    "paths, each once": (["stage2", "stage1", "stage2"], ["stage1", "stage2"]),
    "a star is within a name": ("stage1.*", ["stage1.0", "stage1.1"]),
    "of several names": ("stage*.1", ["stage1.1", "stage2.1"]),
    "a set": ("stage[2]", ["stage2"]),
    "two stars are any names": (
        "**.relu", ["stage1.0.relu", "stage1.1.relu", "stage2.0.relu", "stage2.1.relu"],
    ),
    "what is before numbers": ("stage", ["stage1", "stage2"]),
    "a function": (
        lambda path, module: isinstance(module, nn.Conv2d) and module.stride == (2, 2),
        ["stem.0", "stage2.0.conv1"],
    ),
    "the model": ("", [""]),
}  # fmt: skip


@pytest.mark.parametrize("case", AT)
def test_at_names(case: str) -> None:
    at, wanted = AT[case]
    assert named(own_hosts.ResNet(), at) == wanted


def test_a_list_of_modules_stands_for_its_items() -> None:
    assert named(own_hosts.UNet(), ["encoders", "decoders.1"]) == [
        "encoders.0", "encoders.1", "encoders.2", "decoders.1",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["stage1", "again"])
def test_a_module_of_two_names_may_be_named_by_either(path: str) -> None:
    model = own_hosts.ResNet().eval()
    model.add_module("again", model.stage1)
    before = model(X)
    zoo.add_attention(model, "se", path, example=X)
    assert [site.path for site in zoo.list_sites(model, X) if site.added] == ["stage1"]
    assert torch.equal(model(X), before)


def test_what_was_added_is_no_place() -> None:
    model = own_hosts.ResNet()
    zoo.add_attention(model, "cbam", at="stage1", example=X, reduction=4)
    assert named(model, "**") == [path for path in named(own_hosts.ResNet(), "**")]


def test_sites_have_sizes_strides_and_costs() -> None:
    model = own_hosts.ResNet()
    sites = {site.path: site for site in zoo.list_sites(model, X, costs=["se", "non_local"])}
    assert list(sites) == [
        "stem",
        "stage1",
        "stage1.0",
        "stage1.1",
        "stage2",
        "stage2.0",
        "stage2.1",
    ]
    stage = sites["stage2"]
    assert (stage.channels, stage.size, stage.stride, stage.layout) == (16, (8, 8), 4.0, "nchw")
    module = zoo.create_attention("se", 16)
    assert stage.costs["se"] == {
        "parameters": sum(p.numel() for p in module.parameters()), "multiplications": 2 * 16 * 8,
    } or stage.costs["se"]["parameters"] == sum(p.numel() for p in module.parameters())  # fmt: skip
    larger = sites["stage1"].costs["non_local"]["multiplications"]
    assert larger > 4 * stage.costs["non_local"]["multiplications"]


def test_leaves_are_listed_if_asked_for_and_what_is_there_is_said() -> None:
    model = own_hosts.ResNet()
    leaves = {site.path: site for site in zoo.list_sites(model, X, leaves=True)}
    assert leaves["stage1.0.conv1"].replaces == "convolution" and "stage1.0.bn1" not in leaves
    zoo.add_attention(model, "se", at="stage1", example=X)
    sites = zoo.list_sites(model, X)
    assert {site.path: site.added for site in sites if site.added} == {"stage1": ("se",)}


def test_default_places_are_the_blocks() -> None:
    models = pytest.importorskip("torchvision.models")
    model = models.resnet18(weights=None)
    blocks = [site.path for site in zoo.list_sites(model) if site.block]
    assert blocks == [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    zoo.add_attention(model, "bam")
    assert zoo.remove_attention(model) == ["layer1.1.bam", "layer2.1.bam", "layer3.1.bam"]


def timms_transformer(**options: Any) -> nn.Module:
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2}
    return timm.models.VisionTransformer(num_classes=4, **sizes, **options)


def torchvisions_transformer() -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    model = models.VisionTransformer(32, 8, 3, 2, 32, 64, num_classes=4)
    nn.init.normal_(model.heads.head.weight)  # which starts at zero
    return model


@pytest.mark.parametrize("attention", ["attention_branch", "bam", "boosted"])
@pytest.mark.parametrize(
    "build", [timms_transformer, lambda: timms_transformer(reg_tokens=2), torchvisions_transformer]
)
def test_the_end_of_a_stage_is_where_patches_are_still_read(build: Any, attention: str) -> None:
    """Of a last block the class token alone is read: an attention there would never learn."""
    torch.manual_seed(0)
    model, x = build(), torch.rand(4, 3, 32, 32)
    zoo.add_attention(model, attention, example=x)
    nn.functional.cross_entropy(model.train()(x), torch.arange(4)).backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in zoo.attention_parameters(model))
    (place,) = zoo.remove_attention(model)
    assert "1." in place


def test_without_a_class_token_the_last_block_ends_the_stage() -> None:
    model = timms_transformer(class_token=False, global_pool="avg")
    zoo.add_attention(model, "bam", example=X)
    assert zoo.remove_attention(model) == ["blocks.2.bam"]


def test_timms_blocks_have_it_where_create_model_puts_it() -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("test_resnet")
    wanted = zoo.create_model("test_resnet", attention="se", insertion="exact")
    zoo.add_attention(model, "se")
    assert model.state_dict().keys() == wanted.state_dict().keys()
    assert zoo.remove_attention(model) == wanted.zoo.sites
    assert model.state_dict().keys() == timm.create_model("test_resnet").state_dict().keys()


def test_sites_on_the_shell(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\n\n\ndef network():\n"
        "    return nn.Sequential(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU()))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["sites", "my_networks:network", "--size", "18", "18", "--channels", "1", "--json"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    (row,) = [row for row in json.loads(result.output) if row["path"] == "0"]
    assert (row["channels"], row["size"]) == (8, [16, 16])
    text = CliRunner().invoke(cli, [*arguments[:-1], "--cost", "se"], catch_exceptions=False).output
    assert text.splitlines()[0].split() == [
        "path",
        "module",
        "layout",
        "channels",
        "size",
        "stride",
        "block",
        "se",
    ]


def test_lists_of_lists_stand_for_their_items() -> None:
    inner = nn.ModuleDict({"a": nn.ReLU(), "b": nn.ModuleList([nn.ReLU(), nn.ReLU()])})
    model = nn.Sequential()
    model.stages = nn.ModuleList([nn.ModuleList([nn.ReLU()]), inner])
    items = ["stages.0.0", "stages.1.a", "stages.1.b.0", "stages.1.b.1"]
    assert named(model, "stages") == items and named(model, "stages.*") == items


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [("stage[!2]", ["stage1"]), ("stage[1-2]", ["stage1", "stage2"]), ("[[s]tem", ["stem"])],
)
def test_sets_of_letters_are_as_in_a_shell(pattern: str, wanted: list[str]) -> None:
    assert named(own_hosts.ResNet(), pattern) == wanted
