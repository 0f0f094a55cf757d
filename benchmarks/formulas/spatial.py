"""Spatial attention, the spatial transformer and dropout as their authors write them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.mechanisms.arithmetic.adl import AttentionDropout
from zoo_plugins.mechanisms.spatial.picanet_global import PicanetGlobal
from zoo_plugins.mechanisms.spatial.picanet_local import PicanetLocal
from zoo_plugins.mechanisms.spatial.sge import SpatialGroupEnhance
from zoo_plugins.mechanisms.spatial.span import SpanBlock
from zoo_plugins.mechanisms.spatial.spatial_spectral import SpatialSpectral
from zoo_plugins.mechanisms.spatial_transformer.spatial_transformer import SpatialTransformer


def dual_attention_position(m: nn.Module, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    query = m.query(x).view(batch, -1, height * width).permute(0, 2, 1)
    key = m.key(x).view(batch, -1, height * width)
    attention = torch.softmax(torch.bmm(query, key), dim=-1)
    value = m.value(x).view(batch, -1, height * width)
    attended = torch.bmm(value, attention.permute(0, 2, 1))
    return m.gamma * attended.view(batch, channels, height, width) + x


def sge(m: SpatialGroupEnhance, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    x = x.view(batch * m.groups, -1, height, width)
    t = (x * F.adaptive_avg_pool2d(x, 1)).sum(dim=1).view(batch * m.groups, -1)
    t = t - t.mean(dim=1, keepdim=True)
    t = t / (t.std(dim=1, keepdim=True) + m.eps)
    t = t.view(batch, m.groups, height, width) * m.weight + m.bias
    x = x * torch.sigmoid(t.view(batch * m.groups, 1, height, width))
    return x.view(batch, -1, height, width)


def picanet_global(m: PicanetGlobal, x: Tensor) -> Tensor:
    weights = m.attention(x)
    grid = x[:, :, :: m.spacing[0], :: m.spacing[1]].flatten(2)
    return (grid[..., None, None] * weights.unsqueeze(1)).sum(2)


def picanet_local(m: PicanetLocal, x: Tensor) -> Tensor:
    weights = m.attention(x)
    reach = m.dilation * (m.kernel_size // 2)
    around = F.unfold(x, m.kernel_size, dilation=m.dilation, padding=reach)
    around = around.view(*x.shape[:2], -1, *x.shape[2:])
    return (around * weights.unsqueeze(1)).sum(2)


def span(m: nn.Module, x: Tensor) -> Tensor:
    for block in m.blocks:
        x = _span_block(block, x)
    return x


def _span_block(m: SpanBlock, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    reach = m.dilation * (m.kernel_size // 2)
    around = F.unfold(x, m.kernel_size, dilation=m.dilation, padding=reach)
    around = around.view(batch, channels, -1, height * width)
    keys, values = (
        torch.einsum("lod,bdln->boln", w.weight.view(-1, channels, channels), around)
        for w in (m.key, m.value)
    )
    query = m.query(x).flatten(2).unsqueeze(2)
    weights = torch.softmax(m.scale * (keys * query).sum(1, keepdim=True), 2)
    x = x + (values * weights).sum(2).view(x.shape)
    return x + F.relu(m.ff3(F.relu(m.ff2(F.relu(m.ff1(x))))))


def spatial_spectral(m: SpatialSpectral, x: Tensor) -> Tensor:
    f = m.preproc(x)
    turned = f.transpose(2, 3)
    rows = _weights(m.query_x(f), m.key_x(f))
    columns = _weights(m.query_y(turned), m.key_y(turned))
    spectra = _weights(m.query_lambda(f), m.key_lambda(f))
    if m.mask is not None:
        spectra = (spectra + m.mask) / math.sqrt(1.1)
    value = torch.cat(m.value(f).chunk(m.num_heads, 1))  # the heads in the batch
    rows, columns, spectra = (a.transpose(0, 1).flatten(0, 1) for a in (rows, columns, spectra))
    value = torch.einsum("bcjw,bvw->bcjv", value, columns)
    value = torch.einsum("bij,bcjv->bciv", rows, value)
    value = torch.einsum("bdc,bcij->bdij", spectra, value)
    heads = torch.cat(value.chunk(m.num_heads), 1).permute(0, 2, 3, 1)
    return m.gamma * m.aggregation(heads).permute(0, 3, 1, 2) + f


def _weights(query: Tensor, key: Tensor) -> Tensor:
    return torch.softmax(torch.matmul(query, key.transpose(2, 3)) / query.shape[3] ** 0.5, -1)


def spatial_transformer(m: SpatialTransformer, x: Tensor) -> Tensor:
    theta = m.fc_loc(m.localization(x).flatten(1)).view(-1, 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, False), align_corners=False)


def adl(m: AttentionDropout, x: Tensor) -> Tensor:
    if not m.training:
        return x
    attention = torch.mean(x, dim=1, keepdim=True)
    importance = torch.sigmoid(attention)
    threshold = m.gamma * attention.flatten(1).max(1)[0].view(-1, 1, 1, 1)
    mask = (attention < threshold).float()
    return x * (mask if torch.rand(()) < m.drop_rate else importance)
