"""Younger gates and large kernels as their authors write them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def gated_channel_transformation(m: Any, x: Tensor) -> Tensor:
    embedding = (x.pow(2).sum((2, 3), keepdim=True) + m.eps).pow(0.5) * m.alpha
    norm = m.gamma / (embedding.pow(2).mean(dim=1, keepdim=True) + m.eps).pow(0.5)
    return x * (1.0 + torch.tanh(embedding * norm + m.beta))


def style_recalibration(m: Any, x: Tensor) -> Tensor:
    batch, channels = x.shape[:2]
    flat = x.view(batch, channels, -1)
    mean, std = flat.mean(dim=2, keepdim=True), (flat.var(dim=2, keepdim=True) + m.eps).sqrt()
    z = torch.sum(torch.cat((mean, std), dim=2) * m.cfc[None], dim=2)[:, :, None, None]
    return x * torch.sigmoid(m.bn(z))


def normalization_based(m: Any, x: Tensor) -> Tensor:
    y = m.bn(x)
    weight = m.bn.weight.data.abs() / torch.sum(m.bn.weight.data.abs())
    y = y.permute(0, 2, 3, 1).contiguous()
    y = torch.mul(weight, y).permute(0, 3, 1, 2).contiguous()
    return torch.sigmoid(y) * x


def linear_context(m: Any, x: Tensor) -> Tensor:
    batch, channels = x.shape[:2]
    y = F.adaptive_avg_pool2d(x, 1).view(batch, m.norm.num_groups, -1)
    mean, squares = y.mean(dim=2, keepdim=True), (y**2).mean(dim=2, keepdim=True)
    y = (y - mean) / torch.sqrt(squares - mean**2 + m.norm.eps)
    y = y.reshape(batch, channels, 1, 1) * m.norm.weight[None, :, None, None]
    return x * torch.sigmoid(y + m.norm.bias[None, :, None, None])


def mixed_local_channel(m: Any, x: Tensor) -> Tensor:
    size = m.local_size
    local = F.adaptive_avg_pool2d(x, size)
    whole = F.adaptive_avg_pool2d(local, 1)
    batch, channels = x.shape[:2]
    row = local.view(batch, channels, -1).transpose(-1, -2).reshape(batch, 1, -1)
    around = m.conv_local(row).reshape(batch, size * size, channels).transpose(-1, -2)
    around = around.reshape(batch, channels, size, size).sigmoid()
    along = m.conv(whole.view(batch, channels, -1).transpose(-1, -2)).view(batch, 1, channels)
    along = along.transpose(-1, -2).unsqueeze(-1).sigmoid()
    along = F.adaptive_avg_pool2d(along, [size, size])
    gate = along * (1 - m.local_weight) + around * m.local_weight
    return x * F.adaptive_avg_pool2d(gate, list(x.shape[2:]))


def multidimensional_collaborative(m: Any, x: Tensor) -> Tensor:
    gates = ((m.height, (0, 2, 1, 3)), (m.width, (0, 3, 2, 1)), (m.channel, (0, 1, 2, 3)))
    found = []
    for gate, order in gates:
        y = x.permute(order).contiguous()
        mean = F.adaptive_avg_pool2d(y, 1)
        std = y.flatten(2).std(dim=2, keepdim=True)[..., None]
        share = torch.sigmoid(gate.weight)
        z = 0.5 * (mean + std) + share[0] * mean + share[1] * std
        z = torch.sigmoid(gate.conv(z.permute(0, 3, 2, 1).contiguous()))
        z = z.permute(0, 3, 2, 1).contiguous().expand_as(y)
        found.append((y * z).permute(order).contiguous())
    return 1 / 3 * (found[0] + found[1] + found[2])


def efficient_multi_scale(m: Any, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    group = x.reshape(batch * m.groups, -1, height, width)
    rows = F.adaptive_avg_pool2d(group, (height, 1))
    columns = F.adaptive_avg_pool2d(group, (1, width)).permute(0, 1, 3, 2)
    both = m.conv1x1(torch.cat([rows, columns], dim=2))
    rows, columns = torch.split(both, [height, width], dim=2)
    x1 = m.gn(group * rows.sigmoid() * columns.permute(0, 1, 3, 2).sigmoid())
    x2 = m.conv3x3(group)
    many = batch * m.groups
    x11 = F.adaptive_avg_pool2d(x1, 1).reshape(many, -1, 1).permute(0, 2, 1).softmax(-1)
    x21 = F.adaptive_avg_pool2d(x2, 1).reshape(many, -1, 1).permute(0, 2, 1).softmax(-1)
    weights = torch.matmul(x11, x2.flatten(2)) + torch.matmul(x21, x1.flatten(2))
    gate = weights.reshape(many, 1, height, width).sigmoid()
    return (group * gate).reshape(batch, channels, height, width)


def efficient_local(m: Any, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    rows = torch.mean(x, dim=3, keepdim=True).view(batch, channels, height)
    columns = torch.mean(x, dim=2, keepdim=True).view(batch, channels, width)
    rows = torch.sigmoid(m.gn(m.conv(rows))).view(batch, channels, height, 1)
    columns = torch.sigmoid(m.gn(m.conv(columns))).view(batch, channels, 1, width)
    return x * rows * columns


def concurrent_se(m: Any, x: Tensor) -> Tensor:
    batch, channels = x.shape[:2]
    squeezed = x.view(batch, channels, -1).mean(dim=2)
    gate = torch.sigmoid(m.fc2(torch.relu(m.fc1(squeezed))))
    plane = torch.sigmoid(F.conv2d(x, m.conv.weight, m.conv.bias))
    return torch.max(torch.mul(x, gate.view(batch, channels, 1, 1)), torch.mul(x, plane))


def global_attention(m: Any, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    hidden = F.relu(F.linear(rows, m.fc1.weight[:, :, 0, 0], m.fc1.bias))
    gate = F.linear(hidden, m.fc2.weight[:, :, 0, 0], m.fc2.bias).sigmoid()
    x = x * gate.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return x * m.bn2(m.conv2(F.relu(m.bn1(m.conv1(x))))).sigmoid()


def _with_projections(m: Any, x: Tensor, attention: Any) -> Tensor:
    shortcut = x.clone()
    x = F.gelu(m.proj_1(x))
    return m.proj_2(x.clone() * attention(x)) + shortcut


def large_kernel(m: Any, x: Tensor) -> Tensor:
    return _with_projections(m, x, lambda x: m.conv1(m.conv_spatial(m.conv0(x))))


def large_separable_kernel(m: Any, x: Tensor) -> Tensor:
    def attention(x: Tensor) -> Tensor:
        return m.conv1(m.conv_spatial_v(m.conv_spatial_h(m.conv0v(m.conv0h(x)))))

    return _with_projections(m, x, attention)


def large_selective_kernel(m: Any, x: Tensor) -> Tensor:
    def attention(x: Tensor) -> Tensor:
        first = m.conv0(x)
        second = m.conv_spatial(first)
        first, second = m.conv1(first), m.conv2(second)
        both = torch.cat([first, second], dim=1)
        mean, most = both.mean(dim=1, keepdim=True), torch.max(both, dim=1, keepdim=True)[0]
        gate = m.conv_squeeze(torch.cat([mean, most], dim=1)).sigmoid()
        both = first * gate[:, 0, :, :].unsqueeze(1) + second * gate[:, 1, :, :].unsqueeze(1)
        return m.conv(both)

    return _with_projections(m, x, attention)


def context_anchor(m: Any, x: Tensor) -> Tensor:
    return x * m.conv2(m.v_conv(m.h_conv(m.conv1(m.avg_pool(x))))).sigmoid()


def channel_prior(m: Any, x: Tensor) -> Tensor:
    x = F.gelu(m.conv(x))
    gates = [
        torch.sigmoid(m.ca.fc2(F.relu(m.ca.fc1(pool(x, output_size=(1, 1))))))
        for pool in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)
    ]
    x = (gates[0] + gates[1]) * x
    square = m.square(x)
    strips = [m.columns[size](m.rows[size](square)) for size in m.rows]
    return m.conv(m.conv(sum(strips, square)) * x)


def receptive_field(m: Any, x: Tensor) -> Tensor:
    size = m.kernel_size
    batch, channels = x.shape[:2]
    weight = m.get_weight(x)
    height, width = weight.shape[2:]
    weight = weight.view(batch, channels, size**2, height, width).softmax(2)
    feature = m.generate_feature(x).view(batch, channels, size**2, height, width)
    product = (feature * weight).flatten(1, 2)
    return m.conv(product)


def strip_pooling(m: Any, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    rows = m.bn1(m.conv1(F.adaptive_avg_pool2d(x, (None, 1)))).expand(-1, -1, height, width)
    columns = m.bn2(m.conv2(F.adaptive_avg_pool2d(x, (1, None)))).expand(-1, -1, height, width)
    return x * m.conv3(F.relu(rows + columns)).sigmoid()


def grid(m: Any, x: Tensor) -> Tensor:
    """With weights of the softmax, as timm's layer without its fused kernel."""
    batch, channels, height, width = x.shape
    rows, columns = m.window
    x = x.permute(0, 2, 3, 1)
    x = x.view(batch, rows, height // rows, columns, width // columns, channels)
    x = x.permute(0, 2, 4, 1, 3, 5).contiguous().view(-1, rows * columns, channels)
    qkv = m.qkv(x).reshape(len(x), -1, 3, m.num_heads, m.head_dim).transpose(1, 3)
    q, k, v = qkv.unbind(2)
    attention = (q * m.head_dim**-0.5) @ k.transpose(-2, -1) + m.rel_pos()
    y = (attention.softmax(dim=-1) @ v).transpose(1, 2).reshape(len(x), -1, channels)
    y = m.proj(y).view(batch, height // rows, width // columns, rows, columns, channels)
    y = y.permute(0, 3, 1, 4, 2, 5).contiguous().view(batch, height, width, channels)
    return y.permute(0, 3, 1, 2)


def cascaded_group(m: Any, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    side, batch, channels = m.side, x.shape[0], x.shape[1]
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = x.shape[1] // side, x.shape[2] // side
    x = x.view(batch, rows, side, columns, side, channels).transpose(2, 3)
    x = x.reshape(-1, side, side, channels).permute(0, 3, 1, 2)
    parts, outputs = x.chunk(len(m.qkvs), dim=1), []
    feature, biases = parts[0], m.biases()
    for i, qkv in enumerate(m.qkvs):
        feature = feature if i == 0 else feature + parts[i]
        q, k, v = qkv(feature).split(m.parts, dim=1)
        q, k, v = m.dws[i](q).flatten(2), k.flatten(2), v.flatten(2)
        attention = (q.transpose(-2, -1) @ k) * m.parts[0] ** -0.5 + biases[i]
        feature = v @ attention.softmax(dim=-1).transpose(-2, -1)
        feature = feature.view(len(x), -1, side, side)
        outputs.append(feature)
    y = m.proj(torch.cat(outputs, 1)).permute(0, 2, 3, 1)
    y = y.view(batch, rows, columns, side, side, channels).transpose(2, 3)
    y = y.reshape(batch, rows * side, columns * side, channels)
    return y[:, :height, :width].contiguous().permute(0, 3, 1, 2)


def single_head(m: Any, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    first, rest = torch.split(x, [m.pdim, m.dim - m.pdim], dim=1)
    q, k, v = m.qkv(m.pre_norm(first)).split(m.parts, dim=1)
    q, k, v = q.flatten(2), k.flatten(2), v.flatten(2)
    attention = ((q.transpose(-2, -1) @ k) * m.parts[0] ** -0.5).softmax(dim=-1)
    y = (v @ attention.transpose(-2, -1)).reshape(len(x), -1, height, width)
    return m.proj(torch.cat([y, rest], dim=1))
