"""Mixed attention as its authors write it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.mechanisms.mixed.attention_branch import AttentionBranch
from zoo_plugins.mechanisms.mixed.bam import Bam
from zoo_plugins.mechanisms.mixed.cbam import Cbam, ChannelGate, ConvNorm, SpatialGate
from zoo_plugins.mechanisms.mixed.cot import ContextualTransformer
from zoo_plugins.mechanisms.mixed.harmonious import Harmonious
from zoo_plugins.mechanisms.mixed.residual_mask import ResidualMask
from zoo_plugins.mechanisms.mixed.shuffle_attention import ShuffleAttention
from zoo_plugins.mechanisms.mixed.triplet import TripletAttention

from formulas.channel import dual_attention_channel
from formulas.spatial import dual_attention_position


def cbam_channel(m: ChannelGate, x: Tensor) -> Tensor:
    pools = (F.avg_pool2d(x, x.shape[2:]), F.max_pool2d(x, x.shape[2:]))
    scale = torch.sigmoid(sum(m.fc2(F.relu(m.fc1(pooled))) for pooled in pools))
    return x * scale.expand_as(x)


def cbam_spatial(m: SpatialGate, x: Tensor) -> Tensor:
    return x * torch.sigmoid(m.conv(_planes(x)))


def cbam(m: Cbam, x: Tensor) -> Tensor:
    return cbam_spatial(m.spatial, cbam_channel(m.channel, x))


def _planes(x: Tensor) -> Tensor:
    return torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)


def bam(m: Bam, x: Tensor) -> Tensor:
    pooled = F.avg_pool2d(x, x.shape[2:]).flatten(1)
    channel = m.channel(pooled).unsqueeze(2).unsqueeze(3).expand_as(x)
    spatial = m.spatial(x).expand_as(x)
    return (1 + torch.sigmoid(channel * spatial)) * x


def simam(m: nn.Module, x: Tensor) -> Tensor:
    others = x.shape[2] * x.shape[3] - 1
    square = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
    y = square / (4 * (square.sum(dim=[2, 3], keepdim=True) / others + m.e_lambda)) + 0.5
    return x * torch.sigmoid(y)


def coordinate(m: nn.Module, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    rows = F.adaptive_avg_pool2d(x, (None, 1))
    columns = F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
    y = F.hardswish(m.bn1(m.conv1(torch.cat([rows, columns], dim=2))))
    rows, columns = torch.split(y, [height, width], dim=2)
    a_h = torch.sigmoid(m.conv_h(rows))
    a_w = torch.sigmoid(m.conv_w(columns.permute(0, 1, 3, 2)))
    return x * a_w * a_h


def triplet(m: TripletAttention, x: Tensor) -> Tensor:
    by_height = _rotated(m.cw, x, (0, 2, 1, 3))
    by_width = _rotated(m.hc, x, (0, 3, 2, 1))
    plain = x * torch.sigmoid(m.hw(_planes(x)))
    return 1 / 3 * (plain + by_height + by_width)


def _rotated(gate: ConvNorm, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    turned = x.permute(axes).contiguous()
    return (turned * torch.sigmoid(gate(_planes(turned)))).permute(axes).contiguous()


def shuffle_attention(m: ShuffleAttention, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    first, second = x.reshape(batch * m.groups, -1, height, width).chunk(2, dim=1)
    gate = m.cweight * F.adaptive_avg_pool2d(first, 1) + m.cbias
    first = first * torch.sigmoid(gate)
    gate = m.sweight * m.gn(second) + m.sbias
    second = second * torch.sigmoid(gate)
    out = torch.cat([first, second], dim=1).reshape(batch, m.shuffle_groups, -1, height, width)
    return out.permute(0, 2, 1, 3, 4).reshape(batch, channels, height, width)


def polarized_parallel(m: nn.Module, x: Tensor) -> Tensor:
    query, value = _left(m, x)
    mask = torch.softmax(torch.matmul(query, value), dim=2)
    mask = torch.sigmoid(mask.view(x.shape[0], 1, *x.shape[2:]))
    return x * mask + _polarized_channel(m, x)


def polarized_sequential(m: nn.Module, x: Tensor) -> Tensor:
    x = _polarized_channel(m, x)
    query, value = _left(m, x)
    mask = torch.matmul(query, torch.softmax(value, dim=2))
    return x * torch.sigmoid(mask.view(x.shape[0], 1, *x.shape[2:]))


def _left(m: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    pooled = F.adaptive_avg_pool2d(m.conv_q_left(x), 1).flatten(2).permute(0, 2, 1)
    return pooled, m.conv_v_left(x).flatten(2)


def _polarized_channel(m: nn.Module, x: Tensor) -> Tensor:
    value = m.conv_v_right(x).flatten(2)
    mask = torch.softmax(m.conv_q_right(x).flatten(2), dim=2)
    context = torch.matmul(value, mask.transpose(1, 2)).unsqueeze(-1)
    return x * torch.sigmoid(m.conv_up(context))


def cot(m: ContextualTransformer, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    static = m.key_embed(x)
    kernels = m.embed(torch.cat([x, static], dim=1))
    planes = channels // m.share_planes
    kernels = kernels.view(batch, 1, planes, m.kernel_size**2, height, width)
    values = F.unfold(m.conv1x1(x), m.kernel_size, dilation=m.dilation, padding=m.reach)
    values = values.view(batch, m.share_planes, planes, m.kernel_size**2, height, width)
    dynamic = F.silu(m.bn((values * kernels).sum(3).view(x.shape)))
    both = torch.stack([dynamic, static], dim=2)
    gap = both.sum(dim=2).mean((2, 3), keepdim=True)
    weights = torch.softmax(m.se(gap).view(batch, channels, 2), dim=2).view(batch, -1, 2, 1, 1)
    return (both * weights).sum(dim=2)


def harmonious(m: Harmonious, x: Tensor) -> Tensor:
    soft = m.soft_attn
    spatial = soft.spatial_attn["conv1"](x.mean(1, keepdim=True))
    spatial = F.interpolate(spatial, x.shape[2:], mode="bilinear", align_corners=True)
    spatial = soft.spatial_attn["conv2"](spatial)
    channel = F.avg_pool2d(x, x.shape[2:])
    channel = soft.channel_attn["conv2"](soft.channel_attn["conv1"](channel))
    return x * torch.sigmoid(soft.conv(spatial * channel))


def attention_branch(m: AttentionBranch, x: Tensor) -> Tensor:
    maps = torch.relu(m.bn_att2(m.att_conv(m.bn_att(m.att_layer4(x)))))
    attention = torch.sigmoid(m.bn_att3(m.att_conv3(maps)))
    return x * attention + x


def dual_attention(m: nn.Module, x: Tensor) -> Tensor:
    return dual_attention_position(m.sa, x) + dual_attention_channel(m.sc, x)


def residual_mask_mixed(m: ResidualMask, x: Tensor) -> Tensor:
    return (1 + torch.sigmoid(_mask(m, x))) * x


def residual_mask_channel(m: ResidualMask, x: Tensor) -> Tensor:
    mask = _mask(m, x)
    return (1 + mask / mask.norm(dim=1, keepdim=True)) * x


def residual_mask_spatial(m: ResidualMask, x: Tensor) -> Tensor:
    mask = _mask(m, x)
    mean = mask.mean((2, 3), keepdim=True)
    std = mask.var((2, 3), correction=0, keepdim=True).add(1e-5).sqrt()
    return (1 + torch.sigmoid((mask - mean) / std)) * x


def _mask(m: ResidualMask, x: Tensor) -> Tensor:
    """The soft mask branch of one pooling."""
    low = m.down[0](F.max_pool2d(x, 3, 2, 1))
    return m.mask(F.interpolate(low, x.shape[2:], mode="bilinear", align_corners=True))
