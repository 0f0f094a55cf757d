"""timm's layers with the settings that ours have by default."""

from __future__ import annotations

from collections.abc import Callable

import timm.layers as layers
from timm.layers import bottleneck_attn, cbam, coord_attn, halo_attn, lambda_layer
from timm.models.efficientvit_msra import LocalWindowAttention
from timm.models.focalnet import FocalModulation
from timm.models.shvit import SHSA
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from timm.models.volo import OutlookAttention
from torch import Tensor, nn

Size = tuple[int, int]


class ChannelsLast(nn.Module):
    """A layer on (B, H, W, C), given (B, C, H, W)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Windows(nn.Module):
    """timm's window attention with its partition, as its Swin calls them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attn = WindowAttention(dim, dim // 32, window_size=(7, 7))

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        windows = window_partition(x, (7, 7)).view(-1, 49, channels)
        y = self.attn(windows).view(-1, 7, 7, channels)
        return window_reverse(y, (7, 7), height, width)


TIMM: dict[str, Callable[[int, Size], nn.Module | None]] = {  # None: it refuses that size
    "se": lambda c, _: layers.SEModule(c),
    "eca": lambda c, _: layers.EcaModule(c),
    "ceca": lambda c, _: layers.CecaModule(c),
    "effective_se": lambda c, _: layers.EffectiveSEModule(c),
    "cbam": lambda c, _: cbam.CbamModule(c, mlp_bias=True),
    "cbam_channel": lambda c, _: cbam.ChannelAttn(c, mlp_bias=True),
    "cbam_spatial": lambda c, _: cbam.SpatialAttn(),
    "gather_excite": lambda c, _: layers.GatherExcite(c, extra_params=False, use_mlp=False),
    "global_context": lambda c, _: layers.GlobalContext(
        c, fuse_add=True, fuse_scale=False, rd_ratio=1 / 16
    ),
    "coordinate": lambda c, _: coord_attn.CoordAttn(c, rd_channels=max(8, c // 32), bias=True),
    "selective_kernel": lambda c, _: layers.SelectiveKernel(c, c, split_input=False),
    "split_attention": lambda c, _: layers.SplitAttn(c, norm_layer=nn.BatchNorm2d),
    "non_local": lambda c, _: layers.NonLocalAttn(c, rd_ratio=1 / 2),
    "bat": lambda c, _: layers.BatNonLocalAttn(c, rd_ratio=1 / 4),
    "bottleneck": lambda c, size: bottleneck_attn.BottleneckAttn(c, feat_size=size),
    "halo": lambda c, size: None if size[0] % 8 or size[1] % 8 else halo_attn.HaloAttn(c),
    "lambda_layer": lambda c, _: lambda_layer.LambdaLayer(c),
    "window": lambda c, _: ChannelsLast(Windows(c)),
    "focal_modulation": lambda c, _: FocalModulation(c, focal_window=3, focal_level=2),
    "eca_mlp": lambda c, _: layers.EcaModule(c, use_mlp=True),
    "simple_coordinate": lambda c, _: coord_attn.SimpleCoordAttn(c),
    "light_cbam": lambda c, _: cbam.LightCbamModule(c),
    "single_head": lambda c, _: SHSA(c, 16, round(c / 4.67)),
    "cascaded_group": lambda c, size: LocalWindowAttention(
        c, 16, num_heads=4, attn_ratio=c // 64, resolution=size[0]
    ),
    "outlook": lambda c, _: ChannelsLast(OutlookAttention(c, c // 32)),
}
