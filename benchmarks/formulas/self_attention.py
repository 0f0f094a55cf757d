"""Self-attention on maps as its authors write it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.mechanisms.self_attention.axial import AxialAttention, AxialBlock
from zoo_plugins.mechanisms.self_attention.criss_cross import CrissCross
from zoo_plugins.mechanisms.self_attention.efficient import EfficientAttention
from zoo_plugins.mechanisms.self_attention.ema_unit import EMAUnit
from zoo_plugins.mechanisms.self_attention.external import ExternalAttention
from zoo_plugins.mechanisms.self_attention.lambda_layer import LambdaLayer
from zoo_plugins.mechanisms.self_attention.non_local_sparse import NonLocalSparse
from zoo_plugins.mechanisms.self_attention.stand_alone import StandAlone


def non_local(m: nn.Module, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    theta = m.t(x).view(batch, -1, height * width).permute(0, 2, 1)
    phi = m.p(x).view(batch, -1, height * width)
    g = m.g(x).view(batch, -1, height * width).permute(0, 2, 1)
    attention = F.softmax(torch.matmul(theta, phi), dim=-1)
    y = torch.matmul(attention, g).permute(0, 2, 1).contiguous()
    return m.norm(m.z(y.view(batch, -1, height, width))) + x


def non_local_sparse(m: NonLocalSparse, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    q = m.conv_match(x).view(batch, -1, height * width).permute(0, 2, 1)
    v = m.conv_assembly(x).view(batch, -1, height * width).permute(0, 2, 1)
    order = m._sorted_by_hash(q.detach(), None)
    undo = order.sort(-1)[1]
    q, v = (
        torch.stack(
            [t.gather(1, o.unsqueeze(2).expand(-1, -1, t.shape[2])) for o in order.unbind(1)], 1
        )
        for t in (q, v)
    )
    more = -q.shape[2] % m.chunk_size
    if more:
        q, v = (torch.cat((t, t[:, :, -more:].clone()), 2) for t in (q, v))
    q, v = (t.view(batch, m.n_hashes, -1, m.chunk_size, t.shape[3]) for t in (q, v))
    keys = _beside(F.normalize(q, p=2, dim=-1, eps=5e-5))
    scores = torch.einsum("bhkie,bhkje->bhkij", q, keys)
    norms = torch.logsumexp(scores, dim=-1, keepdim=True)
    y = torch.einsum("bukij,bukje->bukie", torch.exp(scores - norms), _beside(v))
    y, norms = (t.reshape(batch, m.n_hashes, -1, t.shape[-1]) for t in (y, norms))
    y = y[:, :, : height * width].gather(2, undo.unsqueeze(3).expand(-1, -1, -1, channels))
    norms = norms[:, :, : height * width, 0].gather(2, undo)
    y = (y * torch.softmax(norms, dim=1).unsqueeze(3)).sum(1)
    return y.permute(0, 2, 1).reshape(x.shape) * m.res_scale + x


def _beside(x: Tensor) -> Tensor:
    back = torch.cat([x[:, :, -1:], x[:, :, :-1]], dim=2)
    forward = torch.cat([x[:, :, 1:], x[:, :, :1]], dim=2)
    return torch.cat([x, back, forward], dim=3)


def stand_alone(m: StandAlone, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    shape = (batch, m.num_heads, channels // m.num_heads, m.kernel_size**2, height * width)
    keys, values = (
        F.unfold(t, m.kernel_size, padding=m.padding).view(shape) for t in (m.key(x), m.value(x))
    )
    query = m.query(x).view(*shape[:3], 1, height * width)
    offsets = _offsets(m).flatten(1)[None, None, :, :, None]
    logits = (query * (keys + offsets)).sum(2)
    inside = F.unfold(x.new_ones(1, 1, height, width), m.kernel_size, padding=m.padding)
    weights = torch.softmax(logits.masked_fill(inside.unsqueeze(1) == 0, float("-inf")), dim=2)
    return (weights.unsqueeze(2) * values).sum(3).view(x.shape)


def _offsets(m: StandAlone) -> Tensor:
    k = m.kernel_size
    rows = m.rel_h.unsqueeze(2).expand(-1, k, k)
    columns = m.rel_w.unsqueeze(1).expand(-1, k, k)
    return torch.cat((rows, columns))


def axial(m: AxialBlock, x: Tensor) -> Tensor:
    y = F.relu(m.bn1(m.conv_down(x)))
    y = F.relu(_axis(m.width_block, _axis(m.hight_block, y)))
    return F.relu(m.bn2(m.conv_up(y)) + x)


def _axis(m: AxialAttention, x: Tensor) -> Tensor:
    x = x.permute(0, 2, 1, 3) if m.along_width else x.permute(0, 3, 1, 2)
    batch, lines, channels, span = x.shape
    x = x.contiguous().view(batch * lines, channels, span)
    qkv = m.bn_qkv(m.qkv_transform(x))
    half, planes = m.group_planes // 2, m.group_planes
    q, k, v = torch.split(
        qkv.reshape(batch * lines, m.groups, planes * 2, span), [half, half, planes], dim=2
    )
    q_table, k_table, v_table = torch.split(m._embeddings(), [half, half, planes], dim=0)
    qr = torch.einsum("bgci,cij->bgij", q, q_table)
    kr = torch.einsum("bgci,cij->bgij", k, k_table).transpose(2, 3)
    qk = torch.einsum("bgci,bgcj->bgij", q, k)
    stacked = m.bn_similarity(torch.cat([qk, qr, kr], dim=1))
    similarity = stacked.view(batch * lines, 3, m.groups, span, span).sum(dim=1).softmax(3)
    sv = torch.einsum("bgij,bgcj->bgci", similarity, v)
    sve = torch.einsum("bgij,cij->bgci", similarity, v_table)
    y = torch.cat([sv, sve], dim=-1).view(batch * lines, -1, span)
    y = m.bn_output(y).view(batch, lines, -1, 2, span).sum(dim=-2)
    return y.permute(0, 2, 1, 3) if m.along_width else y.permute(0, 2, 3, 1)


def efficient(m: EfficientAttention, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    keys = m.keys(x).reshape(batch, -1, height * width)
    queries = m.queries(x).reshape(batch, -1, height * width)
    values = m.values(x).reshape(batch, -1, height * width)
    parts = zip(*(t.chunk(m.num_heads, 1) for t in (keys, queries, values)), strict=True)
    attended = []
    for key, query, value in parts:
        key, query = F.softmax(key, dim=2), F.softmax(query, dim=1)
        context = key @ value.transpose(1, 2)
        attended.append((context.transpose(1, 2) @ query).reshape(batch, -1, height, width))
    return m.reprojection(torch.cat(attended, dim=1)) + x


def criss_cross(m: CrissCross, x: Tensor) -> Tensor:
    for _ in range(m.recurrence):
        x = _cross(m, x)
    return x


def _cross(m: CrissCross, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape

    def columns(t: Tensor) -> Tensor:
        return t.permute(0, 3, 1, 2).contiguous().view(batch * width, -1, height)

    def rows(t: Tensor) -> Tensor:
        return t.permute(0, 2, 1, 3).contiguous().view(batch * height, -1, width)

    q, k, v = m.query_conv(x), m.key_conv(x), m.value_conv(x)
    infinity = torch.diag(torch.tensor(float("inf")).repeat(height), 0).unsqueeze(0)
    energy_h = torch.bmm(columns(q).permute(0, 2, 1), columns(k)) - infinity.repeat(
        batch * width, 1, 1
    )
    energy_h = energy_h.view(batch, width, height, height).permute(0, 2, 1, 3)
    energy_w = torch.bmm(rows(q).permute(0, 2, 1), rows(k)).view(batch, height, width, width)
    weights = F.softmax(torch.cat([energy_h, energy_w], 3), dim=3)
    of_h = weights[..., :height].permute(0, 2, 1, 3).contiguous()
    of_h = torch.bmm(columns(v), of_h.view(batch * width, height, height).permute(0, 2, 1))
    of_w = weights[..., height:].contiguous().view(batch * height, width, width)
    of_w = torch.bmm(rows(v), of_w.permute(0, 2, 1))
    of_h = of_h.view(batch, width, -1, height).permute(0, 2, 3, 1)
    of_w = of_w.view(batch, height, -1, width).permute(0, 2, 1, 3)
    return m.gamma * (of_h + of_w) + x


def lambda_layer(m: LambdaLayer, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    q, k, v = torch.split(m.qkv(x), [m.num_heads * m.dim_qk, m.dim_qk, m.dim_v], dim=1)
    q = m.norm_q(q).view(batch, m.num_heads, m.dim_qk, height * width)
    v = m.norm_v(v)
    k = F.softmax(k.view(batch, m.dim_qk, -1), dim=-1)
    content = torch.einsum("bkm,bvm->bkv", k, v.flatten(2))
    y = torch.einsum("bhkn,bkv->bhvn", q, content)
    weight = m.conv_lambda.weight.unsqueeze(2)
    reach = m.conv_lambda.padding[0]
    places = F.conv3d(v.unsqueeze(1), weight, m.conv_lambda.bias, padding=(0, reach, reach))
    y = y + torch.einsum("bhkn,bkvn->bhvn", q, places.flatten(3))
    return y.reshape(batch, -1, height, width)


def external(m: ExternalAttention, x: Tensor) -> Tensor:
    features = m.conv1(x)
    attention = F.softmax(m.linear_0(features.view(*x.shape[:2], -1)), dim=-1)
    attention = attention / (1e-9 + attention.sum(dim=1, keepdim=True))
    y = m.conv2(m.linear_1(attention).view(x.shape))
    return F.relu(y + x)


def ema_unit(m: EMAUnit, x: Tensor) -> Tensor:
    y = m.conv1(x).view(*x.shape[:2], -1)
    mu = m.mu.repeat(x.shape[0], 1, 1)
    with torch.no_grad():
        for _ in range(m.iters):
            z = F.softmax(torch.bmm(y.permute(0, 2, 1), mu), dim=2)
            mu = torch.bmm(y, z / (1e-6 + z.sum(dim=1, keepdim=True)))
            mu = mu / (1e-6 + mu.norm(dim=1, keepdim=True))
    y = F.relu(mu.matmul(z.permute(0, 2, 1)).view(x.shape))
    return F.relu(m.conv2(y) + x)
