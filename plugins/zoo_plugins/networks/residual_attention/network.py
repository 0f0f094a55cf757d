"""Residual attention networks (Wang et al., CVPR 2017, arXiv 1704.06904).

    stem;  per stage: a residual unit that widens and strides, then attention modules;
    last stage: three residual units;  batch norm, ReLU, average pooling, a linear layer.

The layout is that of the authors' prototxts (fwang91/residual-attention-network): a 7x7 stem of
stride 2 and a pooling, stages of 256, 512, 1024 and 2048 channels, of which all but the first have
stride 2, and masks that pool 3, 2 and 1 times, down to the size of the last stage's map. With m
modules in each of three stages the trunk has 9 (2p + t) m + 20 layers: 36 m + 20 by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from timm.layers import register_notrace_function
from timm.layers.classifier import create_classifier
from timm.models._features import feature_take_indices
from timm.models._manipulate import checkpoint_seq
from torch import Tensor, nn

from zoo.sdk import Count, DropRate, PositiveInt, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.networks.residual_attention.mask import AttentionModule, max_pool
from zoo_plugins.networks.residual_attention.options import (
    NAME,
    Form,
    Learning,
    MaskKind,
    ModuleSettings,
    UnitKind,
    mask_depths,
)
from zoo_plugins.networks.residual_attention.units import Units, conv


class ResidualAttentionNetwork(nn.Module):
    """(B, 3, H, W) -> logits (B, K). Any size: masks are resized to the trunk's maps.

    Args:
        num_classes: K, 1000; 0 gives the pooled features.
        in_chans: of the image.
        modules: attention modules of each stage but the last.
        widths, strides: channels of each of the n stages, and the stride of its first unit.
        depth_hourglass: poolings of the masks of each stage but the last; empty: as often as the
            strides that follow halve the map, so that all masks end at the size of the last map.
        p, t, r: units before and after trunk and mask, in the trunk, between two poolings.
        unit: `preact_bottleneck`, `resnext` or `inception`. groups: of ResNeXt's convolutions.
        mask: `mixed`, `channel` or `spatial`: f1, f2 or f3 of the paper; `none` is the trunk alone.
        learning: `arl`, (1 + M) F, or `nal`, M F.
        stem_width, stem_kernel, stem_stride: of the first convolution.
        stem_pool: size of the max pooling of stride 2 behind it; 0 is none.
        form: `paper`, or `tengshaofeng`, the popular PyTorch port (`variant=` of the model).
        global_pool: timm's name of the last pooling; empty gives the map.
        drop_rate: of the pooled features in training.

    Raises:
        OptionError: there are not n strides, or not n - 1 modules or depths.
    """

    def __init__(
        self,
        num_classes: Count = 1000,
        in_chans: PositiveInt = 3,
        *,
        modules: Sequence[Count] = (1, 1, 1),
        widths: Sequence[PositiveInt] = (256, 512, 1024, 2048),
        strides: Sequence[PositiveInt] = (1, 2, 2, 2),
        depth_hourglass: Sequence[Count] = (),
        p: Count = 1,
        t: PositiveInt = 2,
        r: PositiveInt = 1,
        unit: UnitKind = "preact_bottleneck",
        groups: PositiveInt = 32,
        mask: MaskKind = "mixed",
        learning: Learning = "arl",
        stem_width: PositiveInt = 64,
        stem_kernel: PositiveInt = 7,
        stem_stride: PositiveInt = 2,
        stem_pool: Count = 3,
        form: Form = "paper",
        global_pool: str = "avg",
        drop_rate: DropRate = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_stages(len(widths), strides, modules, depth_hourglass)
        units = Units(kind=unit, groups=groups, device=device, dtype=dtype)
        module = ModuleSettings(p=p, t=t, r=r, mask=mask, learning=learning, form=form)
        self.in_chans, self.form = in_chans, form
        self.trunk_depth = 3 * (len(widths) + 2 + (2 * p + t) * sum(modules)) + 2
        self.grad_checkpointing, self.channels_last_on_cpu = False, True
        self.stem = Stem(
            in_chans, stem_width, stem_kernel, stem_stride, stem_pool, module.port, units.dd
        )
        depths = depth_hourglass or mask_depths(strides)
        self.stages = nn.ModuleList()
        channels = stem_width
        for i, (width, stride) in enumerate(zip(widths, strides, strict=True)):
            blocks = [units.one(channels, width, stride)]
            if i < len(modules):
                count, depth = modules[i], depths[i]
                blocks += [AttentionModule(units, width, depth, module) for _ in range(count)]
            else:  # two more units in place of modules
                blocks += [units.one(width, width) for _ in range(2)]
            self.stages.append(nn.Sequential(*blocks))
            channels = width
        reduction = stem_stride * (2 if stem_pool else 1)
        self.feature_info = [{"num_chs": stem_width, "reduction": stem_stride, "module": "stem"}]
        self.feature_info += _info(widths, strides, reduction)
        self.num_features = self.head_hidden_size = channels
        self.norm: nn.Module = nn.Identity()
        if units.preact:
            self.norm = nn.Sequential(nn.BatchNorm2d(channels, **units.dd), nn.ReLU(True))
        self.drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes, global_pool)
        self.apply(_init_weights)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier; 0 is none, `global_pool=""` gives the map."""
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self.num_classes, like = num_classes, self.stem.conv.weight
        made: Any = create_classifier(
            self.num_features, num_classes, pool_type=pool, device=like.device, dtype=like.dtype
        )
        self.global_pool, self.fc = (module.train(self.training) for module in made)

    @torch.jit.ignore()
    def get_classifier(self) -> nn.Module:
        """The last linear layer."""
        return self.fc

    @torch.jit.ignore()
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only what leaves each unit and module, and compute the rest again backwards."""
        self.grad_checkpointing = enable

    @torch.jit.ignore()
    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """timm's groups of parameters: by stage, or by unit and module."""
        block = r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"
        return {"stem": r"^stem", "blocks": block}

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last stage's map, normed, (B, C, H', W')."""
        x = self.stem(prepare(x, self.in_chans, self.channels_last_on_cpu))
        for stage in self.stages:
            x = self._run(stage, x)
        return self.norm(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool and classify."""
        x = self.drop(self.global_pool(x))
        return x if pre_logits else self.fc(x)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """timm's: the maps of the stem and of each stage; `norm` norms the last stage's."""
        if output_fmt != "NCHW":
            raise ValueError("output_fmt must be NCHW")
        last = len(self.stages)
        wanted, furthest = feature_take_indices(last + 1, indices)
        x = self.stem.convolve(prepare(x, self.in_chans, self.channels_last_on_cpu))
        found, done = [x] if 0 in wanted else [], 0
        x = self.stem.pool(x)
        for stage in self.stages[:furthest] if stop_early else self.stages:
            x, done = self._run(stage, x), done + 1
            if done in wanted:
                found.append(self.norm(x) if norm and done == last else x)
        if intermediates_only:
            return found
        return (self.norm(x) if done == last else x), found

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """timm's: drop what comes after the last of the wanted maps."""
        wanted, furthest = feature_take_indices(len(self.stages) + 1, indices)
        cut = furthest < len(self.stages)
        self.stages = self.stages[:furthest]
        if furthest == 0:
            self.stem.pool_size = 0  # the map is that before pooling
        if prune_norm or cut:
            self.norm = nn.Identity()
        if cut:
            self.num_features = self.head_hidden_size = self.feature_info[furthest]["num_chs"]
        if prune_head or cut:
            self.reset_classifier(0, "")
        return wanted

    @torch.no_grad()
    def attention_maps(self, images: Tensor) -> dict[str, Tensor]:
        """The mask of each attention module, first to last: `stage 1, module 1` -> (B, C, H, W)."""
        maps: dict[str, Tensor] = {}
        hooks = [
            mask.register_forward_hook(lambda _m, _i, out, name=name: maps.update({name: out}))
            for name, mask in self._masks()
        ]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return maps

    def _masks(self) -> list[tuple[str, nn.Module]]:
        return [
            (f"stage {s}, module {m}", block.mask)
            for s, stage in enumerate(self.stages, 1)
            for m, block in enumerate(stage.children())
            if isinstance(block, AttentionModule) and block.mask is not None
        ]

    def _run(self, stage: nn.Module, x: Tensor) -> Tensor:
        if self.grad_checkpointing and self.training:
            return checkpoint_seq(stage, x)
        return stage(x)


@register_notrace_function
def prepare(x: Tensor, in_chans: int, channels_last_on_cpu: bool) -> Tensor:
    """A checked input. On a CPU channels-last: pooling and resizing need no copies then."""
    check_shape(NAME, "x", x, ("B", in_chans, "H", "W"))
    if channels_last_on_cpu and x.device.type == "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    return x


class Stem(nn.Module):
    """Convolution, batch norm, ReLU, and a max pooling of stride 2 if there is one."""

    def __init__(
        self, in_chans: int, width: int, kernel_size: int, stride: int, pool_size: int, port: bool,
        dd: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__()
        self.pool_size, self.port = pool_size, port
        self.conv = conv(in_chans, width, kernel_size, stride, **dd)
        self.norm = nn.BatchNorm2d(width, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.convolve(x))

    def convolve(self, x: Tensor) -> Tensor:
        """What is pooled."""
        return torch.relu_(self.norm(self.conv(x)))

    def pool(self, x: Tensor) -> Tensor:
        """The same map where there is no pooling."""
        return max_pool(x, self.port, self.pool_size) if self.pool_size else x


def _check_stages(
    stages: int, strides: Sequence[int], modules: Sequence[int], depths: Sequence[int]
) -> None:
    """Refuse rows of numbers that are not as long as there are stages, or one less."""
    rows = {"strides": (strides, stages), "modules": (modules, stages - 1)}
    if depths:
        rows["depth_hourglass"] = (depths, stages - 1)
    for name, (row, count) in rows.items():
        if len(row) != count:
            refuse(NAME, f"{name}={list(row)} is not {count} numbers, with {stages} widths")


def _info(
    widths: Sequence[int], strides: Sequence[int], reduction: int
) -> Iterator[dict[str, Any]]:
    """What timm is told of the map of each stage."""
    for i, (width, stride) in enumerate(zip(widths, strides, strict=True)):
        reduction *= stride
        yield {"num_chs": width, "reduction": reduction, "module": f"stages.{i}"}


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
