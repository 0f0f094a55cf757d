"""Default places in hosts of torchvision, transformers and timm: their blocks, by class.

A block stands anywhere in a host, so a detector or a segmentation network has those of its
backbone. An attention follows the whole block; in timm's blocks it goes to the end of the residual
branch, as in `create_model` (`zoo.insertion.families`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from zoo.hosts.reading.survey import Survey
from zoo.insertion.request import Target
from zoo.insertion.sites import stage_infos
from zoo.insertion.stages import stage_sites

BLOCKS = {
    "torchvision.models": (
        "resnet.BasicBlock", "resnet.Bottleneck", "convnext.CNBlock", "regnet.ResBottleneckBlock",
        "mobilenetv2.InvertedResidual", "mobilenetv3.InvertedResidual", "mnasnet._InvertedResidual",
        "shufflenetv2.InvertedResidual", "efficientnet.MBConv", "efficientnet.FusedMBConv",
        "densenet._DenseBlock", "maxvit.MaxVitBlock", "googlenet.Inception", "squeezenet.Fire",
        *(f"inception.Inception{letter}" for letter in "ABCDE"),
        "swin_transformer.SwinTransformerBlock", "vision_transformer.EncoderBlock",
    ),
    "transformers.models": (
        "resnet.modeling_resnet.ResNetBasicLayer", "resnet.modeling_resnet.ResNetBottleNeckLayer",
        "regnet.modeling_regnet.RegNetXLayer", "regnet.modeling_regnet.RegNetYLayer",
        "convnext.modeling_convnext.ConvNextLayer",
        "convnextv2.modeling_convnextv2.ConvNextV2Layer",
        "mobilenet_v2.modeling_mobilenet_v2.MobileNetV2InvertedResidual",
        "efficientnet.modeling_efficientnet.EfficientNetBlock",
        "vit.modeling_vit.ViTLayer", "deit.modeling_deit.DeiTLayer", "beit.modeling_beit.BeitLayer",
        "dinov2.modeling_dinov2.Dinov2Layer", "dinov3_vit.modeling_dinov3_vit.DINOv3ViTLayer",
        "swin.modeling_swin.SwinLayer", "swinv2.modeling_swinv2.Swinv2Layer",
        "segformer.modeling_segformer.SegformerLayer", "glpn.modeling_glpn.GLPNLayer",
        "pvt.modeling_pvt.PvtLayer", "pvt_v2.modeling_pvt_v2.PvtV2BlockLayer",
        "bit.modeling_bit.BitBottleneckLayer", "bit.modeling_bit.BitPreActivationBottleneckLayer",
        "clip.modeling_clip.CLIPEncoderLayer", "cvt.modeling_cvt.CvtLayer",
        "data2vec.modeling_data2vec_vision.Data2VecVisionLayer",
        "dinov2_with_registers.modeling_dinov2_with_registers.Dinov2WithRegistersLayer",
        "focalnet.modeling_focalnet.FocalNetLayer", "ijepa.modeling_ijepa.IJepaLayer",
        "poolformer.modeling_poolformer.PoolFormerLayer",
        "siglip.modeling_siglip.SiglipEncoderLayer", "vit_mae.modeling_vit_mae.ViTMAELayer",
        "vit_msn.modeling_vit_msn.ViTMSNLayer", "yolos.modeling_yolos.YolosLayer",
    ),
    "timm.models": ("vision_transformer.Block", "swin_transformer.SwinTransformerBlock"),
}  # fmt: skip

POOLED = ("torchvision.models.vgg.VGG", "torchvision.models.alexnet.AlexNet")  # without blocks

_NAMES = frozenset(f"{package}.{block}" for package, of in BLOCKS.items() for block in of)


def blocks(model: nn.Module) -> list[str]:
    """Paths of the blocks of known families, in order; of several in each other the outermost.

    A network of single layers (VGG, AlexNet) has what comes before each pooling in place of blocks.
    """
    found: list[str] = []
    for path, module in model.named_modules():
        names = {_name(cls) for cls in type(module).__mro__}
        if names & _NAMES and not any(path.startswith(f"{block}.") for block in found):
            found.append(path)
        if names.intersection(POOLED):
            found += _before_pooling(path, module)
    return found


def _before_pooling(path: str, network: nn.Module) -> list[str]:
    layers = network.get_submodule("features").named_children()
    inner = f"{path}.features" if path else "features"
    return [f"{inner}.{a}" for (a, _), (_, b) in pairwise(layers) if isinstance(b, nn.MaxPool2d)]


def stages(survey: Survey, blocks: Sequence[str]) -> list[str]:
    """The module at the end of each stage: as timm says, or the last of blocks of one size."""
    model, image = survey.model, survey.example.image
    if type(model).__module__.startswith("timm.") and stage_infos(model) and image is not None:
        size = (image[-2], image[-1])
        target = Target(model=model, name="the model", img_size=size, in_chans=image[-3])
        found = [site.path.removesuffix(".attn") for site in stage_sites(target)]
        if found:
            return found
    shapes = [survey.outputs(path)[0].shape[1:] for path in blocks]
    return [b for i, b in enumerate(blocks) if shapes[i + 1 : i + 2] != [shapes[i]]]


def spatial_convolutions(model: nn.Module) -> list[str]:
    """The first convolution with a window in each block."""
    found: list[str] = []
    for block in blocks(model):
        inner = model.get_submodule(block).named_modules()
        convs = (f"{block}.{path}" for path, module in inner if _is_spatial(module))
        found.extend(list(convs)[:1])
    return found


def _is_spatial(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
