"""Token mixers (B, N, C) of one map as their authors write them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B heads, N, d)."""
    batch, tokens, _ = x.shape
    return x.view(batch, tokens, heads, -1).permute(0, 2, 1, 3).reshape(batch * heads, tokens, -1)


def _linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """With sums as einsum writes them."""
    z = 1 / (torch.einsum("bic,bc->bi", q, k.mean(dim=1)) + 1e-6)
    tokens = k.shape[1]
    kv = torch.einsum("bjc,bjd->bcd", k * tokens**-0.5, v * tokens**-0.5)
    return torch.einsum("bic,bcd,bi->bid", q, kv, z)


def _local(m: Any, v: Tensor) -> Tensor:
    rows, columns = m.size
    grid = v.transpose(1, 2).reshape(len(v), -1, rows, columns)
    return m.dwc(grid).flatten(2).transpose(1, 2)


def _merged(y: Tensor, batch: int) -> Tensor:
    y = y.reshape(batch, -1, *y.shape[1:]).permute(0, 2, 1, 3)
    return y.reshape(batch, y.shape[1], -1)


def focused_linear(m: Any, x: Tensor) -> Tensor:
    q = m.q(x)
    k, v = m.kv(x).chunk(2, 2)
    k = k + m.positional_encoding
    scale = F.softplus(m.scale)
    q, k = (F.relu(q) + 1e-6) / scale, (F.relu(k) + 1e-6) / scale
    q_norm, k_norm = q.norm(dim=-1, keepdim=True), k.norm(dim=-1, keepdim=True)
    q, k = q**m.power, k**m.power
    q = (q / q.norm(dim=-1, keepdim=True)) * q_norm
    k = (k / k.norm(dim=-1, keepdim=True)) * k_norm
    q, k, v = (_split(t, m.num_heads) for t in (q, k, v))
    return m.proj(_merged(_linear(q, k, v) + _local(m, v), len(x)))


def polarity_linear(m: Any, x: Tensor) -> Tensor:
    q, gate = m.qg(x).chunk(2, 2)
    k, v = m.kv(x).chunk(2, 2)
    k = k + m.positional_encoding
    scale, power = F.softplus(m.scale), 1 + m.alpha * torch.sigmoid(m.power)
    q, k = (_split(t / scale, m.num_heads) for t in (q, k))
    v, power = _split(v, m.num_heads), power.expand(len(x), -1, -1, -1).flatten(0, 1)
    above, below = F.relu(q) ** power, F.relu(-q) ** power
    keys = torch.cat([F.relu(k) ** power, F.relu(-k) ** power], dim=-1)
    first, second = torch.chunk(v, 2, dim=-1)
    same = _linear(torch.cat([above, below], dim=-1), keys, first)
    opposite = _linear(torch.cat([below, above], dim=-1), keys, second)
    y = torch.cat([same, opposite], dim=-1) + _local(m, v)
    return m.proj(_merged(y, len(x)) * gate)


def agent(m: Any, x: Tensor) -> Tensor:
    """With weights of both softmaxes."""
    batch, tokens, channels = x.shape
    rows, columns = m.size
    q = m.q(x)
    k, v = m.kv(x).chunk(2, 2)
    agents = q.reshape(batch, rows, columns, channels).permute(0, 3, 1, 2)
    agents = F.adaptive_avg_pool2d(agents, m.agent_side).flatten(2).transpose(1, 2)
    heads = (batch, -1, m.num_heads, m.head_dim)
    q, k, a, values = (t.reshape(heads).permute(0, 2, 1, 3) for t in (q, k, agents, v))
    first, second = m.biases()
    scale = m.head_dim**-0.5
    to_agents = ((a * scale) @ k.transpose(-2, -1) + first).softmax(dim=-1) @ values
    y = ((q * scale) @ a.transpose(-2, -1) + second).softmax(dim=-1) @ to_agents
    y = y.transpose(1, 2).reshape(batch, tokens, channels)
    grid = v.reshape(batch, rows, columns, channels).permute(0, 3, 1, 2)
    return m.proj(y + m.dwc(grid).permute(0, 2, 3, 1).reshape(batch, tokens, channels))


def cross_covariance(m: Any, x: Tensor) -> Tensor:
    batch, tokens, channels = x.shape
    qkv = m.qkv(x).reshape(batch, tokens, 3, m.num_heads, -1).permute(2, 0, 3, 1, 4)
    q, k, v = (t.transpose(-2, -1) for t in qkv)
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    attention = ((q @ k.transpose(-2, -1)) * m.temperature).softmax(dim=-1)
    return m.proj((attention @ v).permute(0, 3, 1, 2).reshape(batch, tokens, channels))


def unit_force(m: Any, x: Tensor) -> Tensor:
    batch, tokens, _ = x.shape
    q, k, v = (
        layer(x).view(batch, tokens, m.num_heads, -1).permute(0, 2, 1, 3)
        for layer in (m.fc_q, m.fc_k, m.fc_v)
    )
    kv = k.transpose(-2, -1) @ v
    kv = kv * m.gamma / kv.norm(dim=-1, keepdim=True)
    q = q * m.gamma / q.norm(dim=-1, keepdim=True)
    return m.fc_o((q @ kv).permute(0, 2, 1, 3).reshape(batch, tokens, -1))


def spatial_reduction(m: Any, x: Tensor) -> Tensor:
    batch, tokens, channels = x.shape
    q = m.q(x).reshape(batch, tokens, m.num_heads, -1).permute(0, 2, 1, 3)
    grid = x.permute(0, 2, 1).reshape(batch, channels, *m.size)
    reduced = m.norm(m.sr(grid).reshape(batch, channels, -1).permute(0, 2, 1))
    k, v = m.kv(reduced).reshape(batch, -1, 2, m.num_heads, q.shape[3]).permute(2, 0, 3, 1, 4)
    attention = ((q @ k.transpose(-2, -1)) * q.shape[3] ** -0.5).softmax(dim=-1)
    return m.proj((attention @ v).transpose(1, 2).reshape(batch, tokens, -1))


def gated_positional(m: Any, x: Tensor) -> Tensor:
    """With the weights of every pair of places."""
    batch, tokens, channels = x.shape
    q, k = m.qk(x).reshape(batch, tokens, 2, m.num_heads, -1).permute(2, 0, 3, 1, 4)
    rows, columns = (t.flatten() for t in torch.meshgrid(*map(torch.arange, m.size), indexing="ij"))
    dy, dx = (t[None] - t[:, None] for t in (rows, columns))
    places = torch.stack([dx, dy, dx**2 + dy**2], dim=-1).to(x.dtype)
    positions = m.pos_proj(places).permute(2, 0, 1).softmax(dim=-1)
    patches = ((q @ k.transpose(-2, -1)) * q.shape[3] ** -0.5).softmax(dim=-1)
    gate = m.gating_param.sigmoid().view(1, -1, 1, 1)
    attention = (1 - gate) * patches + gate * positions
    attention = attention / attention.sum(dim=-1).unsqueeze(-1)
    v = m.v(x).reshape(batch, tokens, m.num_heads, -1).permute(0, 2, 1, 3)
    return m.proj((attention @ v).transpose(1, 2).reshape(batch, tokens, channels))


def separable(m: Any, x: Tensor) -> Tensor:
    """Patches of one pixel, (B, C, 1, N)."""
    qkv = m.qkv_proj(x.transpose(1, 2)[:, :, None])
    query, key, value = torch.split(qkv, [1, m.out_proj.in_channels, m.out_proj.in_channels], dim=1)
    scores = F.softmax(query, dim=-1)
    context = torch.sum(key * scores, dim=-1, keepdim=True)
    y = m.out_proj(F.relu(value) * context.expand_as(value))
    return y[:, :, 0].transpose(1, 2)
