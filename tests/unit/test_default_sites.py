"""Where a mechanism goes when no sites are given."""

from __future__ import annotations

import pytest
import timm

import zoo
from zoo.errors import SpecError
from zoo.insertion import Target
from zoo.insertion.families import conv_sites
from zoo.insertion.sites import in_last_stage
from zoo.registry.catalogue import attention_info
from zoo.registry.specs import Insertion

pytestmark = pytest.mark.long


def sites(name: str, **options: object) -> list[str]:
    return zoo.create_model(name, num_classes=2, **options).zoo.sites


@pytest.mark.parametrize(
    ("backbone", "options", "expected"),
    [
        ("resnet50", {}, [f"layer4.{i}.conv2" for i in range(3)]),
        ("resnet50", {"output_stride": 8}, [f"layer4.{i}.conv2" for i in range(3)]),
        ("resnet18", {}, ["layer4.0.conv1", "layer4.1.conv1"]),
        ("convnext_atto", {}, ["stages.3.blocks.0.conv_dw", "stages.3.blocks.1.conv_dw"]),
    ],
)
def test_botnet_is_in_the_last_stage_as_in_its_paper(
    backbone: str, options: dict[str, int], expected: list[str]
) -> None:
    assert sites(f"bottleneck_{backbone}", img_size=64, **options) == expected


def test_an_attention_branch_stands_before_the_last_stage() -> None:
    assert sites("attention_branch_resnet18") == ["layer3.attn"]
    assert sites("attention_branch_mobilenetv3_small_100") == ["blocks.3.attn"]


def test_the_user_decides() -> None:
    every = [site.path for site, _ in conv_sites(timm.create_model("resnet18"))]
    chosen = ["layer3.1.conv1"]
    assert sites("resnet18", attention="bottleneck", sites="block", img_size=64) == every
    assert sites("resnet18", attention="bottleneck", sites=chosen, img_size=64) == chosen
    spread = sites("resnet18", attention="attention_branch", sites="between_stages")
    assert spread == [f"layer{i}.attn" for i in (1, 2, 3)]


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "densenet121", "regnety_008"])
def test_the_last_stage_is_found_in_every_kind_of_backbone(backbone: str) -> None:
    model = timm.create_model(backbone)
    target = Target(model=model, name=backbone, img_size=(224, 224), in_chans=3)
    places = target.sized([site for site, _ in conv_sites(model)], of="takes")
    chosen = in_last_stage(model, places)
    rest = [site for site in places if site not in chosen]
    assert places[len(rest) :] == chosen
    assert len({site.size for site in rest} & {site.size for site in chosen}) <= 1


def test_the_spec_says_it_and_info_shows_it() -> None:
    assert attention_info("bottleneck")["default_sites"] == "last_stage"
    assert attention_info("se")["default_sites"] == "all"
    with pytest.raises(SpecError, match="default_sites='first'"):
        Insertion(default_sites="first")  # pyright: ignore[reportArgumentType]
