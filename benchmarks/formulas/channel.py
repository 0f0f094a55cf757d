"""Channel attention as its authors write it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.mechanisms.channel.double_attention import DoubleAttention
from zoo_plugins.mechanisms.channel.fca import FrequencyChannelAttention
from zoo_plugins.mechanisms.channel.hoga import HighOrderGroupAttention
from zoo_plugins.mechanisms.channel.parnet import ParNet
from zoo_plugins.mechanisms.channel.psa import PyramidSqueezeAttention
from zoo_plugins.mechanisms.channel.soca import SecondOrderChannelAttention
from zoo_plugins.mechanisms.channel.split_attention import SplitAttention


def se(m: nn.Module, x: Tensor) -> Tensor:
    return x * torch.sigmoid(m.fc2(F.relu(m.fc1(F.adaptive_avg_pool2d(x, 1)))))


def eca(m: nn.Module, x: Tensor) -> Tensor:
    y = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2)
    y = m.conv(y).transpose(-1, -2).unsqueeze(-1)
    return x * torch.sigmoid(y).expand_as(x)


def ceca(m: nn.Module, x: Tensor) -> Tensor:
    y = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2)
    y = F.conv1d(F.pad(y, (m.padding, m.padding), "circular"), m.conv.weight)
    return x * torch.sigmoid(y).transpose(-1, -2).unsqueeze(-1).expand_as(x)


def effective_se(m: nn.Module, x: Tensor) -> Tensor:
    return x * (F.relu6(m.fc(F.adaptive_avg_pool2d(x, 1)) + 3) / 6)


def split_attention(m: SplitAttention, x: Tensor) -> Tensor:
    x = m.act0(m.bn0(m.conv(x)))
    splits = torch.split(x, x.shape[1] // m.radix, 1)
    gap = F.adaptive_avg_pool2d(sum(splits), 1)
    attention = m.rsoftmax(m.fc2(m.act1(m.bn1(m.fc1(gap))))).view(x.shape[0], -1, 1, 1)
    weights = torch.split(attention, x.shape[1] // m.radix, 1)
    return sum(a * s for a, s in zip(weights, splits, strict=True))


def soca(m: SecondOrderChannelAttention, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    count = height * width
    flat = x.reshape(batch, channels, count)
    centring = torch.eye(count, dtype=x.dtype) / count - 1 / count**2
    covariance = flat.bmm(centring.expand(batch, -1, -1)).bmm(flat.transpose(1, 2))
    trace = covariance.diagonal(dim1=1, dim2=2).sum(1).view(-1, 1, 1)
    a, three = covariance / trace, 3 * torch.eye(channels, dtype=x.dtype).expand_as(covariance)
    zy = 0.5 * (three - a)
    y, z = a.bmm(zy), zy
    for _ in range(1, m.iters - 1):
        zy = 0.5 * (three - z.bmm(y))
        y, z = y.bmm(zy), zy.bmm(z)
    root = 0.5 * y.bmm(three - z.bmm(y)) * trace.sqrt()
    pooled = root.mean(1).view(batch, channels, 1, 1)
    return x * torch.sigmoid(m.fc2(F.relu(m.fc1(pooled))))


def fca(m: FrequencyChannelAttention, x: Tensor) -> Tensor:
    images = vars(m).get("images")
    if images is None:  # the authors keep them, one for each channel
        images = vars(m)["images"] = m.basis.repeat_interleave(x.shape[1] // len(m.basis), 0)
    z = torch.sum(x * images, dim=[2, 3])
    gate = torch.sigmoid(m.fc2(F.relu(m.fc1(z)))).view(*z.shape, 1, 1)
    return x * gate.expand_as(x)


def double_attention(m: DoubleAttention, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    a = m.phi(x).view(batch, -1, height * width)
    gather = F.softmax(m.theta(x).view(batch, -1, height * width), dim=-1)
    distribute = F.softmax(m.rho(x).view(batch, -1, height * width), dim=1)
    z = a.bmm(gather.permute(0, 2, 1)).matmul(distribute).view(batch, -1, height, width)
    z = m.reconstruct(z)
    return x + z if m.residual else z


def dual_attention_channel(m: nn.Module, x: Tensor) -> Tensor:
    planes = x.view(*x.shape[:2], -1)
    energy = torch.bmm(planes, planes.permute(0, 2, 1))
    energy = torch.max(energy, -1, keepdim=True)[0].expand_as(energy) - energy
    attended = torch.bmm(torch.softmax(energy, dim=-1), planes).view(x.shape)
    return m.gamma * attended + x


def hoga(m: HighOrderGroupAttention, x: Tensor) -> Tensor:
    groups = torch.split(x, x.shape[1] // m.num_groups, 1)
    steps: list[Tensor] = []
    edge = 0
    for group in groups:
        states = [group, *steps]
        terms = [m.gates[edge + i](states[m.indices[edge + i]]) for i in range(len(states))]
        edge += len(states)
        steps.append(sum(terms))
    joined = torch.cat([*(steps[i] for i in m.joined), m.group_se(sum(groups))], 1)
    return m.out_se(x + m.fuse(joined))


def gather_excite(m: nn.Module, x: Tensor) -> Tensor:
    gathered = F.adaptive_avg_pool2d(x, 1)
    return x * torch.sigmoid(F.interpolate(gathered, x.shape[2:], mode="nearest"))


def global_context(m: nn.Module, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    flat = x.view(batch, channels, height * width).unsqueeze(1)
    mask = torch.softmax(m.conv_attn(x).view(batch, 1, height * width), 2).unsqueeze(-1)
    context = torch.matmul(flat, mask).view(batch, channels, 1, 1)
    return x + m.mlp_add(context)


def selective_kernel(m: nn.Module, x: Tensor) -> Tensor:
    paths = torch.stack([path(x) for path in m.paths], 1)
    pooled = paths.sum(1).mean((2, 3), keepdim=True)
    logits = m.attn.fc_select(m.attn.act(m.attn.bn(m.attn.fc_reduce(pooled))))
    weights = torch.softmax(logits.view(*paths.shape[:3], 1, 1), 1)
    return (paths * weights).sum(1)


def psa(m: PyramidSqueezeAttention, x: Tensor) -> Tensor:
    maps = [conv(x) for conv in m.convs]
    gates = [torch.sigmoid(m.fc2(F.relu(m.fc1(F.adaptive_avg_pool2d(each, 1))))) for each in maps]
    features = torch.cat(maps, 1).view(x.shape[0], len(maps), -1, *maps[0].shape[2:])
    weights = torch.softmax(torch.cat(gates, 1).view(*features.shape[:3], 1, 1), 1)
    weighted = features * weights
    out = weighted[:, 0]
    for i in range(1, len(maps)):
        out = torch.cat((weighted[:, i], out), 1)
    return out


def parnet(m: ParNet, x: Tensor) -> Tensor:
    skip = m.bn_skip(x)
    skip = skip * torch.sigmoid(m.squeeze_excite(F.adaptive_avg_pool2d(skip, 1)))
    return m.act(m.bn3x3(m.conv3x3(x)) + m.bn1x1(m.conv1x1(x)) + skip)
