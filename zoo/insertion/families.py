"""Block adapters: where, in the blocks of timm's main families, a residual branch ends.

Data before code: one `BlockRule` a kind of block. A rule names attributes of the block whose
module has no parameters (a drop path, an activation, an empty `se`), so that no key of the
backbone is renamed. A block of no rule is reached by `stages` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from torch import nn

from zoo.insertion.layers import has_parameters
from zoo.insertion.sites import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRule:
    """Where an attention goes in one kind of block; attribute paths are relative to the block.

    Attributes:
        ends: places at the end of the residual branch, the first free one is taken; "" is the
            block itself, whose class is then swapped.
        shortcut, alone: an attribute that is None in a block without a shortcut, which never calls
            its drop path, and the place in such a block.
        channels: attribute that holds the branch's number of channels.
        conv: the spatial convolution; `after_conv` the norm and activation that belong to it.
        inner: attention that such a block may have of its own, and `inner_channels`.
    """

    blocks: tuple[str, ...]
    ends: tuple[str, ...]
    channels: str
    shortcut: str = ""
    alone: str = ""
    base_first: bool = False
    channels_last: bool = False
    only_if: str = ""
    conv: str = ""
    after_conv: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    inner_channels: str = ""


_RESNET_CONV = {"conv": "conv2", "after_conv": ("bn2", "act2"), "inner": ("se",)}

RULES = (
    BlockRule(
        blocks=("resnet:Bottleneck", "res2net:Bottle2neck"), ends=("se", "drop_path"),
        channels="bn3.num_features", inner_channels="bn3.num_features", **_RESNET_CONV,
    ),
    BlockRule(
        blocks=("resnet:BasicBlock",), ends=("se", "drop_path"), channels="bn2.num_features",
        conv="conv1", after_conv=("bn1", "act1"), inner=("se",), inner_channels="bn2.num_features",
    ),
    BlockRule(  # it gives its drop path the block's input, and nothing follows the last norm
        blocks=("resnest:ResNestBottleneck",), ends=("act2",), base_first=True,
        channels="conv3.in_channels",
    ),
    BlockRule(
        blocks=("sknet:SelectiveKernelBasic",), ends=("se", "drop_path"),
        channels="conv2.bn.num_features",
    ),
    BlockRule(
        blocks=("sknet:SelectiveKernelBottleneck",), ends=("se", "drop_path"),
        channels="conv3.bn.num_features",
    ),
    BlockRule(
        blocks=("regnet:Bottleneck",), ends=("drop_path",), channels="conv3.bn.num_features",
        shortcut="downsample", alone="act3",
        conv="conv2.conv", after_conv=("conv2.bn",), inner=("se",),
        inner_channels="conv2.bn.num_features",
    ),
    BlockRule(
        blocks=("byobnet:BottleneckBlock",), ends=("drop_path",),
        channels="conv3_1x1.bn.num_features", conv="conv2_kxk.conv", after_conv=("conv2_kxk.bn",),
        inner=("attn", "attn_last"), inner_channels="conv2_kxk.bn.num_features",
    ),
    BlockRule(
        blocks=("byobnet:BasicBlock",), ends=("drop_path",), channels="conv2_kxk.bn.num_features",
        conv="conv1_kxk.conv", after_conv=("conv1_kxk.bn",), inner=("attn", "attn_last"),
        inner_channels="conv1_kxk.bn.num_features",
    ),
    BlockRule(
        blocks=("byobnet:DarkBlock", "byobnet:EdgeBlock"), ends=("drop_path",),
        channels="conv2_kxk.bn.num_features", inner=("attn",),
        inner_channels="conv2_kxk.bn.num_features",
    ),
    BlockRule(
        blocks=("byobnet:RepVggBlock",), ends=("attn",), channels="conv_kxk.bn.num_features",
        inner=("attn",), inner_channels="conv_kxk.bn.num_features",
    ),
    BlockRule(
        blocks=("byobnet:MobileOneBlock",), ends=("attn",),
        channels="conv_kxk.0.bn.num_features", inner=("attn",),
        inner_channels="conv_kxk.0.bn.num_features",
    ),
    BlockRule(
        blocks=("_efficientnet_blocks:InvertedResidual",), ends=("bn3.act",), base_first=True,
        channels="bn3.num_features", conv="conv_dw", after_conv=("bn2",), inner=("se",),
        inner_channels="conv_dw.out_channels",
    ),
    BlockRule(
        blocks=("_efficientnet_blocks:DepthwiseSeparableConv",), ends=("bn2.act",),
        base_first=True, channels="bn2.num_features", conv="conv_dw", after_conv=("bn1",),
        inner=("se",), inner_channels="conv_dw.out_channels",
    ),
    BlockRule(
        blocks=("_efficientnet_blocks:EdgeResidual",), ends=("bn2.act",), base_first=True,
        channels="bn2.num_features", conv="conv_exp", after_conv=("bn1",), inner=("se",),
        inner_channels="bn1.num_features",
    ),
    BlockRule(
        blocks=("_efficientnet_blocks:ConvBnAct",), ends=("drop_path",), only_if="has_skip",
        channels="bn1.num_features", conv="conv", after_conv=("bn1",),
    ),
    BlockRule(
        blocks=("_efficientnet_blocks:UniversalInvertedResidual",), ends=("drop_path",),
        only_if="has_skip", channels="pw_proj.bn.num_features",
    ),
    BlockRule(
        blocks=("convnext:ConvNeXtBlock",), ends=("drop_path",), channels="conv_dw.out_channels",
        conv="conv_dw",
    ),
    BlockRule(
        blocks=("densenet:DenseLayer",), ends=("",), channels="conv2.out_channels", conv="conv2",
    ),
    BlockRule(
        blocks=("swin_transformer:SwinTransformerBlock",), ends=("drop_path1",), channels="dim",
        channels_last=True,
    ),
    BlockRule(
        blocks=("nfnet:NormFreeBlock", "resnetv2:PreActBottleneck", "resnetv2:PreActBasic"),
        ends=("drop_path",), channels="conv3.out_channels", conv="conv2",
    ),
)  # fmt: skip

_BY_CLASS = {
    f"timm.models.{block}".replace(":", "."): rule for rule in RULES for block in rule.blocks
}


def blocks(model: nn.Module) -> Iterator[tuple[str, nn.Module, BlockRule]]:
    """Every block of the model that a rule knows, in order, with its path; never the stem."""
    for path, module in model.named_modules():
        rule = None if path.startswith("stem") else _rule(module)
        if rule is not None and (not rule.only_if or getattr(module, rule.only_if, False)):
            yield path, module, rule


def block_sites(model: nn.Module) -> list[Site]:
    """The end of the residual branch of each block; empty where the family has no adapter."""
    if type(model).__module__ == "timm.models.vgg":
        return _vgg_sites(model)
    found = (_end(path, block, rule) for path, block, rule in blocks(model))
    return [site for site in found if site is not None]


def conv_sites(model: nn.Module) -> list[tuple[Site, tuple[str, ...]]]:
    """The spatial convolution of each block, with the paths of its own norm and activation."""
    found: list[tuple[Site, tuple[str, ...]]] = []
    for path, block, rule in blocks(model):
        conv = _get(block, rule.conv) if rule.conv else None
        if isinstance(conv, nn.Conv2d) and max(conv.kernel_size) > 1:
            where = f"{path}.{rule.conv}"
            site = Site(path=where, channels=conv.out_channels, way="swap")
            found.append((site, tuple(f"{path}.{name}" for name in rule.after_conv)))
    return found


def own_attention_sites(model: nn.Module) -> list[Site]:
    """Attention that the backbone has of its own, for `replace=True`."""
    found: list[Site] = []
    for path, block, rule in blocks(model):
        for name in rule.inner:
            module = _get(block, name)
            if module is not None and has_parameters(module):
                channels = attrgetter(rule.inner_channels)(block)
                found.append(Site(path=f"{path}.{name}", channels=channels))
    return found


def _rule(module: nn.Module) -> BlockRule | None:
    for cls in type(module).__mro__:
        rule = _BY_CLASS.get(f"{cls.__module__}.{cls.__qualname__}")
        if rule is not None:
            return rule
    return None


def _end(path: str, block: nn.Module, rule: BlockRule) -> Site | None:
    alone = rule.shortcut and getattr(block, rule.shortcut) is None
    for end in (rule.alone,) if alone else rule.ends:
        if end == "" or _is_free(block, end):
            try:
                channels = attrgetter(rule.channels)(block)
            except AttributeError:
                return None
            return Site(
                path=f"{path}.{end}" if end else path, channels=channels,
                way="set" if end else "swap",
                base_first=rule.base_first, channels_last=rule.channels_last,
            )  # fmt: skip
    return None


def _is_free(block: nn.Module, name: str) -> bool:
    """Whether the attribute exists and holds nothing, or a module without parameters."""
    try:
        module = attrgetter(name)(block)
    except AttributeError:
        return False
    return module is None or not has_parameters(module)


def _get(block: nn.Module, name: str) -> nn.Module | None:
    try:
        return attrgetter(name)(block)
    except AttributeError:
        return None


def _vgg_sites(model: nn.Module) -> list[Site]:
    """VGG has no residual branches: after the last layer of each stage, before it is pooled."""
    return [
        Site(path=info["module"], channels=info["num_chs"], base_first=True)
        for info in model.feature_info  # pyright: ignore[reportGeneralTypeIssues]
    ]
