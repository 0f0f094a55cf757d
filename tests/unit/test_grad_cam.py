"""Grad-CAM of maps, of tokens and of maps whose channels come last, against its equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

import zoo

SIZE = 64


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=10).eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_grad_cam_is_the_equation(resnet: Any, x: Tensor) -> None:
    features = nn.Sequential(*list(resnet.children())[:-2])(x)
    logits = resnet.fc(features.mean((2, 3)))
    (gradient,) = torch.autograd.grad(logits[0, 3], features)
    expected = torch.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1))
    found = zoo.explain(resnet, x, target=3)
    np.testing.assert_allclose(found.maps["layer4"].raw, expected.detach(), rtol=1e-4, atol=1e-7)
    assert found.target.index == 3
    np.testing.assert_allclose(
        [p.probability for p in found.predictions],
        logits.softmax(1).sort(descending=True).values[0, :5].detach(), rtol=1e-5,
    )  # fmt: skip


def test_grad_cam_is_of_a_layer_before_what_follows_writes_to_it(resnet: Any, x: Tensor) -> None:
    """The block adds to the output of its last norm, and clips it, in place."""
    kept: dict[str, Tensor] = {}

    def keep(_module: nn.Module, _inputs: Any, y: Tensor) -> Tensor:
        kept.update(y=y)
        return y.clone()

    hook = resnet.layer4[1].bn2.register_forward_hook(keep)
    logits = resnet(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, 3], kept["y"])
    expected = torch.relu((gradient.mean((2, 3), keepdim=True) * kept["y"]).sum(1))
    found = zoo.explain(resnet, x, target=3, at="layer4.1.bn2").maps["layer4.1.bn2"]
    np.testing.assert_allclose(found.raw, expected.detach(), rtol=1e-4, atol=1e-7)


def test_grad_cam_of_a_layer_and_of_tokens(x: Tensor) -> None:
    """Of a transformer that reads its class token, the patches before the last attention."""
    torch.manual_seed(0)
    from timm.models.vision_transformer import VisionTransformer

    model: Any = VisionTransformer(
        img_size=SIZE, patch_size=16, embed_dim=24, depth=2, num_heads=3, num_classes=5
    ).eval()
    kept: dict[str, Tensor] = {}
    hook = model.blocks[1].norm1.register_forward_hook(lambda _m, _i, y: kept.update(y=y))
    logits = model(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, 2], kept["y"])
    weights = gradient[:, 1:].mean(1, keepdim=True)
    expected = torch.relu((weights * kept["y"][:, 1:]).sum(-1)).unflatten(1, (4, 4))
    found = zoo.explain(model, x, target=2)
    scaled = found.maps["blocks.1.norm1"].raw
    np.testing.assert_allclose(scaled, expected.detach(), rtol=1e-3, atol=1e-8)
    assert "blocks.0" in zoo.explain(model, x, target=2, at="blocks.0").maps


class ChannelsLast(nn.Module):
    """A map (1, H, W, C) with H other than W, and logits of its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.last = nn.Sequential(nn.Linear(6, 6), nn.GELU())
        self.head = nn.Linear(6, 3)
        nn.init.uniform_(self.head.weight, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.stem(x).permute(0, 2, 3, 1)).amax((1, 2)))


def test_grad_cam_of_a_map_whose_channels_come_last() -> None:
    torch.manual_seed(0)
    model, x = ChannelsLast().eval(), torch.rand(1, 3, 32, 48)
    kept: list[Any] = []
    hook = model.last.register_forward_hook(lambda _m, _i, y: kept.append(y))
    logits = model(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, 1], kept)
    expected = torch.relu((gradient.mean((1, 2), keepdim=True) * kept[0]).sum(3)).detach()
    assert expected.shape == (1, 8, 12) and expected.any()
    found = zoo.explain(model, x, target=1, at="last").maps["last"]
    np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-7)
