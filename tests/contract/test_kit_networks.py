"""The check of a whole network finds what breaks timm's interface, and nothing in what is sound."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.registry import Registry
from zoo.sdk.classifier import Classifier
from zoo.testing import check_network


class Sound(Classifier):
    """Two convolutions and a linear layer."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, 2, 1)
        self.body = nn.Conv2d(8, 16, 3, 2, 1)
        self.feature_info: list[dict[str, Any]] = [
            {"num_chs": 8, "reduction": 2, "module": "stem"},
            {"num_chs": 16, "reduction": 4, "module": "body"},
        ]
        self.finish(num_classes, 16)

    def forward_features(self, x: Tensor) -> Tensor:
        return F.relu(self.body(F.relu(self.stem(x))))

    def pool(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class WrongMaps(Sound):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans)
        self.feature_info[0]["num_chs"] = 9


class NoSuchMap(Sound):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans)
        self.feature_info[0]["module"] = "steem"


class WrongNumFeatures(Sound):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans)
        self.num_features = 7


class WrongHidden(Sound):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans)
        self.head_hidden_size = 7


class WrongClassifier(Sound):
    def get_classifier(self) -> nn.Module:
        return self.stem


class OtherHead(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return self.classify(2 * self.pool(self.forward_features(x)))


class AlwaysTen(Sound):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__(10, in_chans)


class AlwaysThree(Sound):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__(num_classes, 3)


class KeepsClassifier(Sound):
    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        self.num_classes = num_classes


class OfSequences(nn.Module):
    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()


FAULTS = {
    "WrongMaps": "feature_info says channels",
    "NoSuchMap": "ended in KeyError",
    "WrongNumFeatures": "num_features is 7",
    "WrongHidden": "head_hidden_size is 7",
    "WrongClassifier": "get_classifier\\(\\) is not 'classifier'",
    "OtherHead": "forward is not forward_head",
    "AlwaysTen": "num_classes=5 gives logits \\(2, 10\\)",
    "AlwaysThree": "ended in RuntimeError: .* to have 3 channels",
    "KeepsClassifier": "after reset_classifier\\(3\\)",
}


def registry(name: str) -> Registry:
    @zoo.hookimpl
    def zoo_models() -> list[zoo.ModelSpec]:
        settings = {"input_size": (3, 32, 32), "classifier": "classifier"}
        return [zoo.ModelSpec(name="net", target=f"{__name__}:{name}", input=settings)]

    return Registry(plugins=[SimpleNamespace(zoo_models=zoo_models)])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_network_is_found(name: str) -> None:
    with pytest.raises(AssertionError, match=FAULTS[name]):
        check_network("net", registry=registry(name))


def test_a_sound_network_passes() -> None:
    check_network("net", registry=registry("Sound"))


def test_what_is_no_classifier_is_skipped() -> None:
    with pytest.raises(SkipTest, match="has no forward_features"):
        check_network("net", registry=registry("OfSequences"))


@pytest.mark.parametrize("name", ["cnn2_mnist", "stn_mnist", "ram_mnist", "slot_cnn_64"])
def test_networks_of_the_zoo_pass(name: str) -> None:
    check_network(name)
