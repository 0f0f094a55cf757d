"""Self-attention that sees a part of a map, as its authors write it: with copies of the windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from zoo_plugins.mechanisms.self_attention.acmix import ACmix
from zoo_plugins.mechanisms.self_attention.bi_level_routing import BiLevelRouting
from zoo_plugins.mechanisms.self_attention.deformable import Deformable
from zoo_plugins.mechanisms.self_attention.focal_modulation import FocalModulation
from zoo_plugins.mechanisms.self_attention.neighborhood import Neighborhood


def neighborhood(m: Neighborhood, x: Tensor) -> Tensor:
    """The authors' module in plain PyTorch: windows unfolded inside, repeated at the border."""
    x = x.permute(0, 2, 3, 1)
    batch, height, width, channels = x.shape
    k, heads, side = m.kernel_size, m.num_heads, m.kernel_size // 2
    qkv = m.qkv(x).reshape(batch, height, width, 3, heads, -1).permute(3, 0, 4, 1, 2, 5)
    q, keys, values = qkv[0] * qkv.shape[-1] ** -0.5, qkv[1], qkv[2]
    windows = []
    for t in (keys, values):
        inside = t.unfold(2, k, 1).unfold(3, k, 1)  # B, heads, H - k + 1, W - k + 1, d, k, k
        rows = torch.arange(height, device=x.device).sub(side).clamp(0, height - k)
        columns = torch.arange(width, device=x.device).sub(side).clamp(0, width - k)
        windows.append(inside[:, :, rows][:, :, :, columns].flatten(5))
    logits = torch.einsum("bhijd,bhijdn->bhijn", q, windows[0])
    if m.rpb is not None:
        moves = [
            torch.arange(n).sub(side).clamp(0, n - k)[:, None] + torch.arange(k)
            - torch.arange(n)[:, None] + k - 1
            for n in (height, width)
        ]  # fmt: skip
        bias = m.rpb[:, moves[0][:, None, :, None], moves[1][None, :, None, :]]
        logits = logits + bias.flatten(3)
    y = torch.einsum("bhijn,bhijdn->bijhd", logits.softmax(-1), windows[1])
    return m.proj(y.reshape(batch, height, width, -1)).permute(0, 3, 1, 2)


def acmix(m: ACmix, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    heads, k = m.num_heads, m.kernel_size
    q, keys, values = m.conv1(x), m.conv2(x), m.conv3(x)
    scaling = (q.shape[1] // heads) ** -0.5
    across = torch.linspace(-1.0, 1.0, width, dtype=x.dtype).repeat(height, 1)
    down = torch.linspace(-1.0, 1.0, height, dtype=x.dtype).view(-1, 1).repeat(1, width)
    pe = m.conv_p(torch.stack([across, down])[None])
    grouped = (t.view(batch * heads, -1, height, width) for t in (q, keys, values))
    q_att, k_att, v_att = grouped
    pad = torch.nn.ReflectionPad2d(k // 2)

    def unfold(t: Tensor) -> Tensor:
        return F.unfold(pad(t), k).view(t.shape[0], t.shape[1], k * k, height, width)

    moved = unfold(k_att) + pe.unsqueeze(2) - unfold(pe)
    att = ((q_att * scaling).unsqueeze(2) * moved).sum(1).softmax(1)
    out_att = (att.unsqueeze(1) * unfold(v_att)).sum(2).view(batch, -1, height, width)
    flat = [t.view(batch, heads, -1, height * width) for t in (q, keys, values)]
    f_all = m.fc(torch.cat(flat, 1))
    f_conv = f_all.permute(0, 2, 1, 3).reshape(batch, -1, height, width)
    return m.rate1 * out_att + m.rate2 * m.dep_conv(f_conv)


def focal_modulation(m: FocalModulation, x: Tensor) -> Tensor:
    channels = x.shape[1]
    q, ctx, gates = torch.split(m.f(x), (channels, channels, m.focal_level + 1), 1)
    ctx_all = torch.zeros_like(q)
    for level in range(m.focal_level):
        ctx = m.focal_layers[level](ctx)
        ctx_all = ctx_all + ctx * gates[:, level : level + 1]
    ctx_global = F.gelu(ctx.mean(2, keepdim=True).mean(3, keepdim=True))
    ctx_all = ctx_all + ctx_global * gates[:, m.focal_level :]
    return m.proj(q * m.h(ctx_all))


def bi_level_routing(m: BiLevelRouting, x: Tensor) -> Tensor:
    """The class of the published networks: keys and values are gathered by an expanded index."""
    n, size = m.n_win, x.shape[2:]
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, -size[1] % n, 0, -size[0] % n))
    batch, height, width, channels = x.shape
    h, w = height // n, width // n
    x = x.view(batch, n, h, n, w, channels).transpose(2, 3).reshape(batch, n * n, h, w, channels)
    qk = m.widths[0]
    q, kv = m.qkv(x).split([qk, qk + channels], -1)
    q_win, k_win = q.mean([2, 3]).detach(), kv[..., :qk].mean([2, 3]).detach()
    index = torch.topk((q_win * qk**-0.5) @ k_win.transpose(-2, -1), m.topk, -1)[1]
    pixels = kv.flatten(2, 3)
    selected = torch.gather(
        pixels[:, None].expand(-1, n * n, -1, -1, -1), 2,
        index[..., None, None].expand(-1, -1, -1, h * w, qk + channels),
    ).flatten(2, 3)  # fmt: skip
    k, v = selected.split([qk, channels], -1)
    q, k, v = (t.unflatten(-1, (m.num_heads, -1)).transpose(2, 3) for t in (q.flatten(2, 3), k, v))
    y = ((q * qk**-0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
    y = y.transpose(2, 3).reshape(batch, n, n, h, w, channels).transpose(2, 3)
    v_map = kv[..., qk:].reshape(batch, n, n, h, w, channels).transpose(2, 3)
    v_map = v_map.reshape(batch, height, width, channels).permute(0, 3, 1, 2).contiguous()
    y = y.reshape(batch, height, width, channels) + m.lepe(v_map).permute(0, 2, 3, 1)
    return m.proj(y)[:, : size[0], : size[1]].permute(0, 3, 1, 2)


def deformable(m: Deformable, x: Tensor) -> Tensor:
    """The authors' later code, with its table of positions."""
    batch, channels, height, width = x.shape
    g, heads = m.groups, m.num_heads
    q = m.proj_q(x)
    offset = m.conv_offset(q.view(batch * g, channels // g, height, width))
    rows, columns = offset.shape[2:]
    reach = torch.tensor([1.0 / (rows - 1.0), 1.0 / (columns - 1.0)], dtype=x.dtype)
    offset = offset.tanh().mul(reach.view(1, 2, 1, 1)).mul(m.factor).permute(0, 2, 3, 1)
    pos = offset + _grid(0.5, rows, columns, x)
    sampled = F.grid_sample(
        x.reshape(batch * g, channels // g, height, width), pos[..., (1, 0)], align_corners=True
    ).reshape(batch, channels, 1, rows * columns)
    q = q.reshape(batch * heads, -1, height * width)
    k = m.proj_k(sampled).reshape(batch * heads, -1, rows * columns)
    v = m.proj_v(sampled).reshape(batch * heads, -1, rows * columns)
    attn = torch.einsum("bcm,bcn->bmn", q, k).mul(k.shape[1] ** -0.5)
    queries = _grid(0.0, height, width, x).reshape(1, height * width, 1, 2)
    moves = (queries - pos.reshape(batch * g, 1, rows * columns, 2)).mul(0.5)
    table = m.rpe_table[None].expand(batch, -1, -1, -1)
    table = table.reshape(batch * g, heads // g, 2 * height - 1, 2 * width - 1)
    bias = F.grid_sample(table, moves[..., (1, 0)], align_corners=True)
    attn = F.softmax(attn + bias.reshape(attn.shape), dim=2)
    y = torch.einsum("bmn,bcn->bcm", attn, v).reshape(batch, channels, height, width)
    return m.proj_out(y)


def _grid(first: float, rows: int, columns: int, x: Tensor) -> Tensor:
    sides = [
        (torch.arange(n, dtype=x.dtype) + first).div(n - 1.0).mul(2.0).sub(1.0)
        for n in (rows, columns)
    ]
    return torch.stack(torch.meshgrid(*sides, indexing="ij"), -1)
