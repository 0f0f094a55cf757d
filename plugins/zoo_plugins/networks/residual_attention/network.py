"""Residual attention networks (Wang et al., CVPR 2017, arXiv 1704.06904).

    stem;  per stage: a residual unit that widens and strides, then attention modules;
    last stage: three residual units;  batch norm, ReLU, average pooling, a linear layer.

The layout is that of the authors' prototxts (fwang91/residual-attention-network): a 7x7 stem of
stride 2 and a pooling, stages of 256, 512, 1024 and 2048 channels, of which all but the first have
stride 2, and masks that pool 3, 2 and 1 times, down to the size of the last stage's map. With m
modules in each of three stages the trunk has 9 (2p + t) m + 20 layers: 36 m + 20 by default.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import register_notrace_function
from timm.layers.classifier import create_classifier
from timm.models._features import feature_take_indices
from timm.models._manipulate import checkpoint_seq
from torch import Tensor, nn

from zoo.sdk.inputs import check_shape
from zoo_plugins.networks.residual_attention.mask import AttentionModule, max_pool
from zoo_plugins.networks.residual_attention.options import NAME, Options, read_options
from zoo_plugins.networks.residual_attention.units import Units, conv


class ResidualAttentionNetwork(nn.Module):
    """(B, 3, H, W) -> logits (B, K). Any size: masks are resized to the trunk's maps.

    Args:
        num_classes: K, 1000; 0 gives the pooled features.
        in_chans: of the image.
        global_pool: timm's name of the last pooling; empty gives the map.
        drop_rate: of the pooled features in training.
        **options: of `Options`: modules, widths, p, t, r, unit, mask, learning, ...
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__()
        chosen = read_options(options)
        units = Units(kind=chosen.unit, groups=chosen.groups, device=device, dtype=dtype)
        self.in_chans, self.form = in_chans, chosen.form
        self.trunk_depth = chosen.trunk_depth
        self.grad_checkpointing, self.channels_last_on_cpu = False, True
        self.stem = Stem(in_chans, chosen, units.dd)
        self.stages = _stages(chosen, units)
        self.feature_info = _feature_info(chosen)
        self.num_features = self.head_hidden_size = chosen.widths[-1]
        self.norm: nn.Module = nn.Identity()
        if units.preact:
            self.norm = nn.Sequential(nn.BatchNorm2d(self.num_features, **units.dd), nn.ReLU(True))
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

    def __init__(self, in_chans: int, options: Options, dd: dict[str, Any]) -> None:
        super().__init__()
        width, size = options.stem_width, options.stem_kernel
        self.pool_size, self.port = options.stem_pool, options.form == "tengshaofeng"
        self.conv = conv(in_chans, width, size, options.stem_stride, **dd)
        self.norm = nn.BatchNorm2d(width, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.convolve(x))

    def convolve(self, x: Tensor) -> Tensor:
        """What is pooled."""
        return torch.relu_(self.norm(self.conv(x)))

    def pool(self, x: Tensor) -> Tensor:
        """The same map where there is no pooling."""
        return max_pool(x, self.port, self.pool_size) if self.pool_size else x


def _stages(options: Options, units: Units) -> nn.ModuleList:
    """Each a row of blocks; the last has two more units in place of modules."""
    stages = nn.ModuleList()
    channels = options.stem_width
    modules, depths = (*options.modules, 0), (*options.depths, 0)
    for i, (width, stride) in enumerate(zip(options.widths, options.strides, strict=True)):
        blocks = [units.one(channels, width, stride)]
        blocks += [AttentionModule(units, width, depths[i], options) for _ in range(modules[i])]
        if i == len(options.widths) - 1:
            blocks += [units.one(width, width) for _ in range(2)]
        stages.append(nn.Sequential(*blocks))
        channels = width
    return stages


def _feature_info(options: Options) -> list[dict[str, Any]]:
    reduction = options.stem_stride
    found = [{"num_chs": options.stem_width, "reduction": reduction, "module": "stem"}]
    reduction *= 2 if options.stem_pool else 1
    for i, (width, stride) in enumerate(zip(options.widths, options.strides, strict=True)):
        reduction *= stride
        found.append({"num_chs": width, "reduction": reduction, "module": f"stages.{i}"})
    return found


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
