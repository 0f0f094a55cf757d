"""`config.json` from the Hub is data: timm's own are read, hostile ones refused by key."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hub.client import Client
from hub.samples import NAME, fill, weights
from hub.server import Hub
from hub.store import sha256

from zoo.errors import ConfigError
from zoo.weights.config import parse

TIMM = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "num_features": 2048,
    "pretrained_cfg": {
        "tag": "a1_in1k", "custom_load": False, "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 288], "fixed_input_size": False, "interpolation": "bicubic",
        "crop_pct": 0.95, "test_crop_pct": 1.0, "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 1000,
        "pool_size": [7, 7], "first_conv": "conv1", "classifier": "fc",
        "origin_url": "https://github.com/huggingface/pytorch-image-models",
        "paper_ids": "arXiv:2110.00476",
    },
}  # fmt: skip


def read(**changes: Any) -> Any:
    return parse(json.dumps({**TIMM, **changes}).encode(), "org/net: config.json")


def test_a_config_of_timm_is_read() -> None:
    config = read()
    assert config.architecture == "resnet50" and config.num_classes == 1000
    assert config.input["mean"] == (0.485, 0.456, 0.406)
    assert config.input["test_crop_pct"] == 1.0


def test_the_old_flat_form_is_read() -> None:
    flat = {"architecture": "resnet18", **TIMM["pretrained_cfg"], "num_classes": 10}
    config = parse(json.dumps(flat).encode(), "x")
    assert (config.architecture, config.num_classes) == ("resnet18", 10)


def test_a_config_of_the_zoo_is_read() -> None:
    arguments = {
        "attention": "cbam", "attention_options": {"reduction": 8, "pools": ["avg", "max"]},
        "sites": ["layer1.0", "layer2.0"], "insertion": "residual",
    }  # fmt: skip
    config = read(architecture="cbam_resnet50", model_args=arguments)
    assert config.model_args["sites"] == ("layer1.0", "layer2.0")
    assert config.model_args["attention_options"] == {"reduction": 8, "pools": ("avg", "max")}


def test_keys_that_are_not_known_are_passed_over() -> None:
    cfg = {**TIMM["pretrained_cfg"], "url": "http://evil/x.pth", "file": "/etc/passwd"}
    assert "url" not in read(pretrained_cfg=cfg, auto_map={"AutoModel": "evil.Model"}).input


HOSTILE: list[dict[str, Any]] = [
    {"architecture": None},
    {"architecture": ["resnet50"]},
    {"architecture": "os.system('true')"},
    {"architecture": "../../x"},
    {"architecture": "a" * 1000},
    {"num_classes": -1},
    {"num_classes": 10**12},
    {"num_classes": True},
    {"num_classes": "1000"},
    {"pretrained_cfg": []},
    {"pretrained_cfg": {"input_size": [3, 10**9, 10**9]}},
    {"pretrained_cfg": {"input_size": [3, 224]}},
    {"pretrained_cfg": {"input_size": "3,224,224"}},
    {"pretrained_cfg": {"mean": [float("nan")] * 3}},
    {"pretrained_cfg": {"std": [0, 0, 0]}},
    {"pretrained_cfg": {"crop_pct": 0}},
    {"pretrained_cfg": {"crop_pct": 1e300}},
    {"pretrained_cfg": {"interpolation": "__import__"}},
    {"model_args": ["a"]},
    {"model_args": {"checkpoint_path": "/tmp/evil.pth"}},
    {"model_args": {"pretrained": True}},
    {"model_args": {"pretrained_cfg": {"url": "http://evil"}}},
    {"model_args": {"width": 10**12}},
    {"model_args": {"x": "a" * 10_000}},
    {"model_args": {"__class__": "x"}},
    {"model_args": {"a b": 1}},
    {"model_args": {"x": {"x": {"x": {"x": {"x": {"x": 1}}}}}}},
    {"model_args": {"x": list(range(10_000))}},
    {"label_names": [["a"]]},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=lambda value: json.dumps(value)[:40])
def test_hostile_values_are_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**changes)
    assert "org/net: config.json" in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff\xfe", b"{" * 10**6, b"[" * 10**6, b"9" * 10**5]
)
def test_what_is_no_config_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError):
        parse(content, "x")


def test_nothing_that_a_config_names_is_imported() -> None:
    before = set(sys.modules)
    read(model_args={"attention": "this", "act_layer": "antigravity", "block": "turtle:Turtle"})
    assert not {"this", "antigravity", "turtle"} & (set(sys.modules) - before)


def test_config_and_weights_are_of_one_commit(hub: Hub, client: Client) -> None:
    commit = fill(hub, config=json.dumps(TIMM).encode())
    hub.moves.append((NAME, {"model.safetensors": weights(1), "config.json": b"{}"}))
    hub.faults.add("move", "resolve", times=1)
    result = client.run("repository", name=f"hf-hub:{NAME}@main")
    assert result["ok"], result
    assert result["architecture"] == "resnet50"
    assert result["commits"] == [commit, commit]
    assert result["sha256"] == sha256(weights(0))
    assert hub.counts()["info"] == 1


def test_a_config_of_some_gigabytes_is_not_fetched(hub: Hub, client: Client) -> None:
    fill(hub, config=b" " * 9_000_000)
    result = client.run("repository", name=NAME)
    assert not result["ok"] and not result["raw"]
    assert hub.counts()["data"] == 0


def test_a_repository_of_pickles_only(hub: Hub, client: Client) -> None:
    hub.store.put(NAME, {"config.json": json.dumps(TIMM).encode(), "pytorch_model.bin": b"\x80\2"})
    result = client.run("repository", name=NAME)
    assert result["error"] == "HubError" and "no safetensors" in result["what"]


WILD: list[tuple[str, dict[str, Any]]] = [
    ("vit_tiny_patch16_224", {"depth": 2**30}),
    ("resnet50", {"layers": [2**30, 3, 3, 3]}),
    ("swin_tiny_patch4_window7_224", {"window_size": 50_000, "img_size": 200_000}),
    ("convnext_atto", {"depths": [2, 2, 100_000, 2]}),
    ("vit_tiny_patch16_224", {"img_size": 100_000}),
    ("vit_tiny_patch16_224", {"embed_dim": 999_999}),
    ("resnet50", {"base_width": 100_000}),
    ("resnet50", {"in_chans": 1_000_000}),
    ("resnet18", {"num_classes": 1_000_000}),
    ("resnet18", {"block": "os.system"}),
    ("resnet18", {"act_layer": "os.system"}),
    ("resnet18", {"no_such_option": 1}),
    ("cbam_resnet18", {"attention": "os:system"}),
    ("cbam_resnet18", {"attention_options": {"reduction": 0}}),
    ("cbam_resnet18", {"sites": ["layer9"]}),
    ("cbam_resnet18", {"insertion": "by force"}),
    ("no_such_model", {}),
]


@pytest.mark.slow
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_wild_config_is_refused_soon_and_without_taking_memory(
    hub: Hub, client: Client, pretrained: bool
) -> None:
    """Values that pass as data, but make no model that the weights could be of."""
    names = []
    for number, (architecture, arguments) in enumerate(WILD):
        config = {**TIMM, "architecture": architecture, "model_args": arguments, "num_classes": 10}
        files = {"config.json": json.dumps(config).encode(), "model.safetensors": weights(0)}
        hub.store.put(f"org/wild{number}", files)
        names.append(f"hf-hub:org/wild{number}")
    rows = client.run("build", names=names, pretrained=pretrained)["rows"]
    for case, row in zip(WILD, rows, strict=True):
        assert not row["raw"], (case, row)
        assert row["seconds"] < 5, (case, row)
        if pretrained:
            assert row["outcome"] != "built" and row["mb"] < 256, (case, row)
