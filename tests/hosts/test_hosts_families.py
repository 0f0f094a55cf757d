"""Default places in families of hosts, and special tokens that are told from the patches."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import timm
import torch
import torchvision

import zoo
from zoo.errors import UsageError
from zoo.hosts.reading.families import BLOCKS, POOLED

pytestmark = pytest.mark.long

transformers = pytest.importorskip("transformers")
NAMES = [f"{package}.{block}" for package, blocks in BLOCKS.items() for block in blocks]
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64,
    "image_size": 64, "patch_size": 16,
}  # fmt: skip
STAGED: dict[str, Any] = {"depths": [1] * 4, "hidden_sizes": [16, 32, 64, 128]}
HOSTS = {
    "DeiT": (SMALL, 1),
    "Dinov2WithRegisters": (SMALL, 1),
    "Beit": (SMALL, 1),
    "ViTMSN": (SMALL, 1),
    "IJepa": (SMALL, 1),
    "FocalNet": ({"image_size": 64, "embed_dim": 16, "depths": [1] * 4}, 4),
    "PoolFormer": (STAGED, 4),
    "Bit": (
        {"depths": [1] * 4, "embedding_size": 32, "hidden_sizes": [32] * 4, "num_groups": 4},
        4,
    ),
    "Pvt": ({**STAGED, "image_size": 64, "num_attention_heads": [1, 2, 4, 8]}, 4),
}


@pytest.mark.parametrize("name", [*NAMES, *POOLED])
def test_every_block_that_is_known_exists(name: str) -> None:
    module, _, cls = name.rpartition(".")
    assert issubclass(getattr(import_module(module), cls), torch.nn.Module)


@pytest.mark.parametrize(
    ("name", "size", "count"),
    [("vgg11_bn", 64, 5), ("alexnet", 96, 3), ("squeezenet1_1", 64, 8), ("inception_v3", 96, 11)],
)
def test_torchvision_s_networks_have_default_places(name: str, size: int, count: int) -> None:
    more = {"init_weights": False, "aux_logits": False} if name == "inception_v3" else {}
    check(torchvision.models.get_model(name, **more), size, count)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", HOSTS)
def test_transformers_networks_have_default_places(name: str) -> None:
    options, count = HOSTS[name]
    config = getattr(transformers, f"{name}Config")(**options)
    check(getattr(transformers, f"{name}Model")(config), 64, count)


@pytest.mark.parametrize("name", ["Beit", "Dinov2", "ViTMSN", "ViTMAE", "IJepa", "CLIPVision"])
def test_a_mixer_stands_beside_the_softmax_attention_of(name: str) -> None:
    more = {"mask_ratio": 0.0} if name == "ViTMAE" else {}
    config = getattr(transformers, f"{name}Config")(**SMALL, **more)
    model = getattr(transformers, f"{name}Model")(config)
    check(model, 64, 5, "multi_head")  # q, k, v, output, and alpha
    zoo.add_attention(model, "multi_head", example=torch.rand(2, 3, 64, 64), insertion="plain")
    assert leaves(model(torch.rand(2, 3, 64, 64)))[0].isfinite().all()


def check(model: torch.nn.Module, size: int, count: int, name: str = "eca") -> None:
    """No output is moved by so many parameters, and without them the model is as it was."""
    torch.manual_seed(0)
    x = torch.rand(2, 3, size, size)
    expected = leaves(seeded(model.eval(), x))
    keys = list(model.state_dict())
    zoo.add_attention(model, name, example=x)
    assert len(list(zoo.attention_parameters(model))) == count
    for one, other in zip(leaves(seeded(model, x)), expected, strict=True):
        torch.testing.assert_close(one, other)
    zoo.remove_attention(model)
    assert list(model.state_dict()) == keys


def seeded(model: torch.nn.Module, x: torch.Tensor) -> Any:
    torch.manual_seed(0)
    return model(x)


def leaves(output: Any) -> list[torch.Tensor]:
    found = output.to_tuple() if hasattr(output, "to_tuple") else (output,)
    return [tensor for tensor in found if isinstance(tensor, torch.Tensor)]


@pytest.mark.parametrize("model", ["deit", "registers", "timm"])
def test_special_tokens_are_no_part_of_the_grid(model: str) -> None:
    host, places = special(model)
    torch.manual_seed(0)
    x = torch.rand(2, 3, 64, 64)
    zoo.add_attention(host, "se", at=places, example=x, insertion="plain")
    tokens: list[torch.Tensor] = []
    for module in host.modules():
        if type(module).__name__ == "SqueezeExcite":
            module.register_forward_hook(lambda _module, given, _out: tokens.append(given[0]))
    host.eval()(x)
    assert [t.shape[2:] for t in tokens] == [(4, 4)]


def special(model: str) -> tuple[torch.nn.Module, str]:
    if model == "timm":
        more = {"img_size": 64, "depth": 1, "embed_dim": 32, "num_heads": 4}
        return timm.create_model("vit_base_patch16_dinov3", **more), "blocks.0"
    name = {"deit": "DeiT", "registers": "Dinov2WithRegisters"}[model]
    host = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**SMALL))
    return host, "layers.0" if model == "deit" else "encoder.layer.0"


def test_tokens_behind_the_patches_are_not_taken_for_patches() -> None:
    config = transformers.YolosConfig(**{**SMALL, "image_size": [64, 64]}, num_detection_tokens=5)
    host = transformers.YolosModel(config)
    with pytest.raises(UsageError, match="which of the 22 tokens"):
        zoo.add_attention(host, "se", example=torch.rand(2, 3, 64, 64))
