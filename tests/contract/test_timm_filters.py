"""timm's own key filters: a file loads in the zoo as timm itself loads it, in every family.

Each family is a module of timm that hands a filter to its loader, with one small architecture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import warm
from hub.client import Client
from hub.server import Hub
from safetensors.torch import save, save_file
from torch import Tensor, nn

import zoo
from zoo.weights import timm_loading

pytestmark = pytest.mark.long

OPS = Path(__file__).with_name("pretrained_ops.py")
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "beit": ("beit_base_patch16_224", {"depth": 1}),
    "byobnet": ("test_byobnet", {}),
    "cait": ("cait_xxs24_224", {"depth": 2}),
    "coat": ("coat_tiny", {}),
    "convnext": ("test_convnext", {}),
    "cpubone": ("cpubone_nano", {}),
    "crossvit": ("crossvit_tiny_240", {}),
    "csatv2": ("csatv2", {}),
    "cspnext": ("cspnext_tiny", {}),
    "davit": ("davit_tiny", {}),
    "deepseek_vit": ("deepseek_vit_412m", {"depth": 1}),
    "deit": ("deit3_small_patch16_224", {"depth": 2}),
    "densenet": ("densenet121", {}),
    "edgenext": ("edgenext_xx_small", {}),
    "efficientformer": ("efficientformer_l1", {}),
    "efficientvim": ("efficientvim_m1", {}),
    "efficientvit_msra": ("efficientvit_m0", {}),
    "eva": ("eva02_tiny_patch14_224", {"depth": 2}),
    "fasternet": ("fasternet_t0", {}),
    "fastvit": ("fastvit_t8", {}),
    "focalnet": ("focalnet_tiny_srf", {}),
    "gemma4_vit": ("gemma4_vit_167m", {"depth": 1}),
    "ghostnet": ("ghostnet_050", {}),
    "hiera": ("hiera_tiny_224", {}),
    "hieradet_sam2": ("sam2_hiera_tiny", {}),
    "iformer": ("iformer_t", {}),
    "levit": ("levit_128s", {}),
    "lowformer": ("lowformer_b0", {}),
    "mambaout": ("test_mambaout", {}),
    "maxxvit": ("test_coatnet", {}),
    "metaformer": ("poolformer_s12", {}),
    "mlp_mixer": ("gmlp_ti16_224", {}),
    "mobilenetv5": ("mobilenetv5_300m", {}),
    "mvitv2": ("mvitv2_tiny", {}),
    "naflexvit": ("naflexvit_base_patch16_gap", {"depth": 1}),
    "nest": ("nest_tiny", {}),
    "nextvit": ("nextvit_small", {}),
    "pit": ("pit_ti_224", {}),
    "pvt_v2": ("pvt_v2_b0", {}),
    "qwen3_vit": ("qwen3_vit_88m", {"depth": 1}),
    "rdnet": ("rdnet_tiny", {}),
    "regnet": ("regnety_002", {}),
    "sequencer": ("sequencer2d_s", {}),
    "shvit": ("shvit_s1", {}),
    "starnet": ("starnet_s050", {}),
    "swiftformer": ("swiftformer_xs", {}),
    "swin_transformer": ("swin_tiny_patch4_window7_224", {}),
    "swin_transformer_v2": ("swinv2_tiny_window8_256", {}),
    "swin_transformer_v2_cr": ("swinv2_cr_tiny_224", {}),
    "tiny_vit": ("tiny_vit_5m_224", {}),
    "tnt": ("tnt_s_legacy_patch16_224", {"depth": 2}),
    "tresnet": ("tresnet_m", {}),
    "vgg": ("vgg11_bn", {}),
    "vision_transformer": ("test_vit", {}),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", {"depth": 2}),
    "vision_transformer_relpos": ("test_vit_relpos", {}),
    "vision_transformer_sam": ("samvit_base_patch16_224", {"depth": 1}),
    "vitamin": ("vitamin_small_224", {}),
    "xcit": ("xcit_nano_12_p8_224", {}),
}
QUICK = (
    "byobnet", "convnext", "crossvit", "cspnext", "edgenext", "efficientvit_msra", "iformer",
    "mambaout", "maxxvit", "pvt_v2", "regnet", "starnet", "vision_transformer",
    "vision_transformer_relpos",
)  # fmt: skip
OVER_HTTP = ("regnety_002", "crossvit_tiny_240", "test_vit", "test_byobnet")


def weights(name: str, **options: Any) -> dict[str, Tensor]:
    """A state dict of random weights and statistics: nothing at zero, no bound at infinity."""
    torch.manual_seed(0)
    state = timm.create_model(name, **options).state_dict()
    for tensor in {t.data_ptr(): t for t in state.values() if t.is_floating_point()}.values():
        tensor.nan_to_num_(0.0, 1.0, -1.0).add_(0.01 * torch.rand_like(tensor))
    return {key: tensor.contiguous().clone() for key, tensor in state.items()}


def as_timm_loads(name: str, file: Path, **options: Any) -> nn.Module:
    source = {"file": str(file), "hf_hub_id": "", "url": ""}
    return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=source, **options)


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    a, b = ours.state_dict(), theirs.state_dict()
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []


def test_every_family_with_a_filter_is_listed() -> None:
    found = [
        file.stem for file in Path(timm.models.__path__[0]).glob("[a-z]*.py")
        if "pretrained_filter_fn=" in file.read_text(encoding="utf-8")
    ]  # fmt: skip
    assert sorted(found) == sorted(FAMILIES)


@pytest.mark.parametrize(
    "family", [pytest.param(f, marks=[] if f in QUICK else [pytest.mark.slow]) for f in FAMILIES]
)
def test_a_file_loads_as_in_timm(family: str, tmp_path: Path) -> None:
    name, options = FAMILIES[family]
    save_file(weights(name, **options), tmp_path / "x.safetensors")
    ours: Any = zoo.create_model(name, weights=tmp_path / "x.safetensors", **options)
    assert ours.zoo.untrained == ()
    assert_same(ours, as_timm_loads(name, tmp_path / "x.safetensors", **options))
    _, loading = timm_loading.create(name, device="meta", **options)
    assert loading.filter_fn is not None


def renamed(state: Mapping[str, Tensor], *pairs: tuple[str, str]) -> dict[str, Tensor]:
    found = {}
    for key, tensor in state.items():
        for pattern, replacement in pairs:
            key = re.sub(pattern, replacement, key)
        found[key] = tensor
    return found


OLD_NAMES = {  # as torchvision's first files, and the authors', have them
    "densenet121": ((r"(denselayer\d+)\.(norm|conv)(\d)\.", r"\1.\2.\3."),),
    "test_convnext": (
        (r"^stem\.", "downsample_layers.0."), (r"stages\.(\d)\.blocks\.(\d+)\.", r"stages.\1.\2."),
        (r"stages\.(\d)\.downsample\.", r"downsample_layers.\1."), (r"conv_dw", "dwconv"),
        (r"mlp\.fc(\d)", r"pwconv\1"), (r"^head\.fc\.", "head."), (r"^head\.norm\.", "norm."),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD_NAMES)
def test_old_names_become_present_ones(name: str, tmp_path: Path) -> None:
    state = {k: t for k, t in weights(name).items() if not k.endswith("num_batches_tracked")}
    old = renamed(state, *OLD_NAMES[name])
    assert old.keys() != state.keys()
    save_file(old, tmp_path / "x.safetensors")
    ours = zoo.create_model(name, weights=tmp_path / "x.safetensors")
    assert_same(ours, as_timm_loads(name, tmp_path / "x.safetensors"))
    assert all(torch.equal(ours.state_dict()[key], tensor) for key, tensor in state.items())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flexivit_small", {"depth": 1}),  # resampled without antialiasing
        ("test_vit", {}),
        ("deit3_small_patch16_224", {"depth": 1}),  # with an adapted layer scale
    ],
)
def test_arguments_that_are_bound_to_a_filter_are_kept(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "x.safetensors"
    save_file(weights(name, **options), file)
    ours = zoo.create_model(name, weights=file, img_size=192, **options)
    assert_same(ours, as_timm_loads(name, file, img_size=192, **options))


def test_over_http(tmp_path: Path) -> None:
    calls = [["compare", {"name": name, "timm_name": name}] for name in OVER_HTTP]
    with Hub() as hub:
        for name in OVER_HTTP:
            repository = timm.get_pretrained_cfg(name).hf_hub_id
            hub.store.put(repository, {"model.safetensors": save(weights(name))})
        process = warm.run(
            [OPS, json.dumps(calls)], env=Client(hub.endpoint, tmp_path).environment(), check=True
        )
    for row in json.loads(process.stdout.splitlines()[-1]):
        assert row["ok"] and row["states_equal"], row


def test_timm_s_own_loading_goes_on_beside_it(tmp_path: Path) -> None:
    """Within a thread that builds for the zoo nothing is loaded; elsewhere timm loads as ever."""
    state = weights("test_vit")
    save_file(state, tmp_path / "x.safetensors")
    timm_loading.create("test_vit")
    theirs = as_timm_loads("test_vit", tmp_path / "x.safetensors").state_dict()
    assert all(torch.equal(theirs[key], tensor) for key, tensor in state.items())
