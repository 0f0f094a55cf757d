"""Hosts of real packages: small ones for every run, and the networks that people use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import own_hosts
import pytest
import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host.

    Attributes:
        build: makes it, with random weights.
        example: what it is called with, a keyword or a positional argument.
        at: places, None for its family's.
        mechanisms: those that are tried, with the form that they start in by default.
        targets: of a detector in training, whose loss is the sum of what it returns.
    """

    build: Callable[[], nn.Module]
    example: Callable[[], Any] = lambda: torch.rand(2, 3, 32, 32)
    at: Any = None
    mechanisms: tuple[str, ...] = ("se",)
    targets: Callable[[], Any] | None = None


def torchvision_models() -> Any:
    return pytest.importorskip("torchvision.models")


def transformers() -> Any:
    return pytest.importorskip("transformers")


def small_resnet() -> Any:
    resnet = torchvision_models().resnet
    return resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=4)


def small_convnext() -> nn.Module:
    convnext = torchvision_models().convnext
    stages = [convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, None, 1)]
    return convnext.ConvNeXt(stages, num_classes=4)


def small_swin() -> nn.Module:
    swin = torchvision_models().swin_transformer
    return swin.SwinTransformer([4, 4], 16, [2, 1], [2, 2], [4, 4], num_classes=4)


def small_vit() -> nn.Module:
    return torchvision_models().VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=4)


def small_segmenter(kind: str) -> nn.Module:
    models = torchvision_models()
    body = models._utils.IntermediateLayerGetter(small_resnet(), {"layer4": "out"})
    if kind == "fcn":
        return models.segmentation.FCN(body, models.segmentation.fcn.FCNHead(512, 2))
    head = models.segmentation.deeplabv3.DeepLabHead(512, 2, (2, 4))
    return models.segmentation.DeepLabV3(body, head)


def small_detector() -> nn.Module:
    models = torchvision_models()
    detection = models.detection
    layers = {f"layer{i}": str(i) for i in (3, 4)}
    body = detection.backbone_utils.BackboneWithFPN(small_resnet(), layers, [256, 512], 16)
    sizes = ((8,), (16,), (32,))
    anchors = detection.anchor_utils.AnchorGenerator(sizes, ((1.0,),) * 3)
    return detection.FasterRCNN(
        body, None, rpn_anchor_generator=anchors, min_size=64, max_size=64, box_score_thresh=0.0,
        box_head=detection.faster_rcnn.TwoMLPHead(16 * 7 * 7, 32),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(32, 3),
    )  # fmt: skip


def images() -> list[Tensor]:
    return [torch.rand(3, 64, 64), torch.rand(3, 64, 64)]


def boxes() -> list[dict[str, Tensor]]:
    box = torch.tensor([[4.0, 4.0, 40.0, 40.0]])
    return [{"boxes": box, "labels": torch.tensor([1])} for _ in range(2)]


def masks() -> list[dict[str, Tensor]]:
    return [each | {"masks": torch.ones(1, 64, 64, dtype=torch.uint8)} for each in boxes()]


def pixels(size: int) -> Callable[[], Any]:
    return lambda: {"pixel_values": torch.rand(2, 3, size, size)}


def hf_resnet_config() -> Any:
    return transformers().ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage4"],
    )  # fmt: skip


def hf_vit() -> nn.Module:
    config = transformers().ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=32, patch_size=8,
    )  # fmt: skip
    return transformers().ViTForImageClassification(config)


def hf_swin() -> nn.Module:
    config = transformers().SwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 1], num_heads=[2, 2], window_size=4
    )
    return transformers().SwinForImageClassification(config)


def hf_segformer() -> nn.Module:
    config = transformers().SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[16, 16, 32, 32], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    )  # fmt: skip
    return transformers().SegformerForSemanticSegmentation(config)


def hf_detr() -> nn.Module:
    config = transformers().DetrConfig(
        backbone_config=hf_resnet_config(), use_timm_backbone=False, use_pretrained_backbone=False,
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=5,
    )  # fmt: skip
    return transformers().DetrForObjectDetection(config)


def smp(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        package = pytest.importorskip("segmentation_models_pytorch")
        return getattr(package, name)("resnet18", encoder_weights=None, **options)

    return build


def timm_model(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        return pytest.importorskip("timm").create_model(name, num_classes=4, **options)

    return build


CONV = ("se", "stand_alone")
MIXER = ("simam", "external_multihead")
SMALL = {
    "own_resnet": Host(
        build=own_hosts.ResNet, at=["stage1.*", "stage2"], mechanisms=("se", "simam", "bam")
    ),
    "own_unet": Host(build=own_hosts.UNet, at=["encoders", "decoders.0"]),
    "torchvision_resnet": Host(build=small_resnet, mechanisms=CONV),
    "torchvision_convnext": Host(build=small_convnext, mechanisms=CONV),
    "torchvision_swin": Host(build=small_swin, mechanisms=MIXER),
    "torchvision_vit": Host(build=small_vit, mechanisms=MIXER),
    "torchvision_fcn": Host(build=lambda: small_segmenter("fcn"), at=["backbone", "classifier.0"]),
    "torchvision_deeplab": Host(
        build=lambda: small_segmenter("deeplab"), at=["backbone.layer4", "classifier.0"]
    ),
    "torchvision_fasterrcnn": Host(
        build=small_detector, example=images, targets=boxes, mechanisms=("simam",),
        at=["backbone.body.layer4", "backbone.fpn", "backbone.fpn.layer_blocks"],
    ),
    "transformers_resnet": Host(
        build=lambda: transformers().ResNetForImageClassification(hf_resnet_config()),
        example=pixels(32), mechanisms=CONV,
    ),
    "transformers_vit": Host(build=hf_vit, example=pixels(32), mechanisms=MIXER),
    "transformers_swin": Host(build=hf_swin, example=pixels(32), mechanisms=MIXER),
    "transformers_segformer": Host(build=hf_segformer, example=pixels(64)),
    "transformers_detr": Host(build=hf_detr, example=pixels(64)),
    "smp_unet": Host(
        build=smp("Unet", decoder_channels=(32, 16, 16, 8, 8)),
        at=["encoder.layer4", "decoder.blocks.[01]"],
    ),
    "smp_deeplab": Host(
        build=smp("DeepLabV3Plus", decoder_channels=32), at=["encoder.layer3", "decoder.aspp"],
        mechanisms=("se",),
    ),
    "timm_resnet": Host(build=timm_model("test_resnet"), mechanisms=CONV),
    "timm_vit": Host(build=timm_model("test_vit", img_size=32), mechanisms=(*MIXER, "multi_head")),
    "timm_convnext": Host(build=timm_model("test_convnext"), mechanisms=("se",)),
}  # fmt: skip


def torchvision_model(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        models = torchvision_models()
        folder = next(
            f for f in (models, models.segmentation, models.detection) if hasattr(f, name)
        )
        more = {"weights_backbone": None} if folder is not models else {}
        return getattr(folder, name)(weights=None, **more, **options)

    return build


def large() -> Tensor:
    return torch.rand(2, 3, 64, 64)


# The residual form is exact to the last bit, which the choice among many boxes asks for.
DETECTOR: dict[str, Any] = {"example": images, "mechanisms": ("simam",)}
LARGE = OrderedDict(
    resnet50=Host(build=torchvision_model("resnet50"), example=large, mechanisms=CONV),
    convnext_tiny=Host(build=torchvision_model("convnext_tiny"), example=large, mechanisms=CONV),
    swin_t=Host(build=torchvision_model("swin_t"), example=large, mechanisms=MIXER),
    vit_b_16=Host(
        build=torchvision_model("vit_b_16"), example=lambda: torch.rand(2, 3, 224, 224),
        mechanisms=MIXER,
    ),
    deeplabv3_resnet50=Host(build=torchvision_model("deeplabv3_resnet50"), example=large),
    fcn_resnet50=Host(build=torchvision_model("fcn_resnet50"), example=large),
    fasterrcnn_resnet50_fpn=Host(
        build=torchvision_model("fasterrcnn_resnet50_fpn", min_size=64, box_score_thresh=0.0),
        targets=boxes, **DETECTOR,
    ),
    maskrcnn_resnet50_fpn=Host(
        build=torchvision_model("maskrcnn_resnet50_fpn", min_size=64, box_score_thresh=0.0),
        targets=masks, **DETECTOR,
    ),
    ssdlite320_mobilenet_v3_large=Host(
        build=torchvision_model("ssdlite320_mobilenet_v3_large", score_thresh=0.0),
        targets=boxes, at=["backbone"], **DETECTOR,
    ),
)  # fmt: skip
