"""The kernels. Each adds up in float32, whatever it reads and writes.

A map is (B, R, L), rows as in `zoo.sdk.fused.layout`: `xb`, `xr` and `xl` are the strides of `x`
over the batch, the rows and along a row, and so on for other maps. What belongs to rows is (B, R),
contiguous. A program works on a tile of TR rows, TL elements at a time. Batches are counted in 64
bits, what lies within one image in 32.
"""

# pyright: basic, reportIndexIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportGeneralTypeIssues=false

import triton
import triton.language as tl


@triton.jit
def _place(rows, TR: tl.constexpr):
    """(index in the batch, the rows of this program)."""
    program, tiles = tl.program_id(0), tl.cdiv(rows, TR)
    return (program // tiles).to(tl.int64), (program % tiles) * TR + tl.arange(0, TR)


@triton.jit
def _offsets(row, at, batch, sb, sr, sl):
    """Where a tile (TR, TL) of a map lies."""
    return batch * sb + row[:, None] * sr + at[None, :] * sl


@triton.jit
def _read(pointer, offsets, inside):
    return tl.load(pointer + offsets, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def mean(x, xb, xr, xl, out, rows, length, TR: tl.constexpr, TL: tl.constexpr):
    """out = sum_l x / L"""
    batch, row = _place(rows, TR)
    total = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        total += _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
    tl.store(out + batch * rows + row, tl.sum(total, 1) / length, mask=row < rows)


@triton.jit
def mean_max(
    x, xb, xr, xl, out, most, index, rows, length, TR: tl.constexpr, TL: tl.constexpr
):  # fmt: skip
    """out = sum_l x / L, most = max_l x, index: the first l that has it. NaN is the largest."""
    batch, row = _place(rows, TR)
    total = tl.zeros((TR, TL), tl.float32)
    best = tl.full((TR,), float("-inf"), tl.float32)
    first = tl.zeros((TR,), tl.int32)
    nans = tl.zeros((TR,), tl.int32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        value = _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
        total += value
        nans += tl.sum((value != value).to(tl.int32), 1)
        value = tl.where(inside & (value == value), value, float("-inf"))
        high, place = tl.max(value, 1, return_indices=True)
        first = tl.where(high > best, start + place, first)
        best = tl.maximum(best, high)
    best = tl.where(nans > 0, float("nan"), best)
    target = batch * rows + row
    tl.store(out + target, tl.sum(total, 1) / length, mask=row < rows)
    tl.store(most + target, best, mask=row < rows)
    tl.store(index + target, first, mask=row < rows)


@triton.jit
def mean_max_backward(
    dmean, dmost, index, dx, xb, xr, xl, rows, length, TR: tl.constexpr, TL: tl.constexpr
):  # fmt: skip
    """dx = dmean / L, and dmost added where l = index"""
    batch, row = _place(rows, TR)
    source = batch * rows + row
    every = tl.load(dmean + source, mask=row < rows, other=0.0).to(tl.float32) / length
    once = tl.load(dmost + source, mask=row < rows, other=0.0).to(tl.float32)
    place = tl.load(index + source, mask=row < rows, other=0)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        extra = tl.where(at[None, :] == place[:, None], once[:, None], 0.0)
        tl.store(dx + _offsets(row, at, batch, xb, xr, xl), every[:, None] + extra, mask=inside)


@triton.jit
def gate(
    x, xb, xr, xl, g, y, yb, yr, yl, rows, length, TR: tl.constexpr, TL: tl.constexpr
):  # fmt: skip
    """y = x g, with g for each row"""
    batch, row = _place(rows, TR)
    factor = tl.load(g + batch * rows + row, mask=row < rows, other=0.0).to(tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        value = _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
        tl.store(y + _offsets(row, at, batch, yb, yr, yl), value * factor[:, None], mask=inside)


@triton.jit
def gate_backward(
    dy, yb, yr, yl, x, xb, xr, xl, g, dx, db, dr, dl, dg, rows, length,
    TR: tl.constexpr, TL: tl.constexpr,
):  # fmt: skip
    """dx = dy g, dg = sum_l dy x"""
    batch, row = _place(rows, TR)
    factor = tl.load(g + batch * rows + row, mask=row < rows, other=0.0).to(tl.float32)
    total = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        grad = _read(dy, _offsets(row, at, batch, yb, yr, yl), inside)
        total += grad * _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
        tl.store(dx + _offsets(row, at, batch, db, dr, dl), grad * factor[:, None], mask=inside)
    tl.store(dg + batch * rows + row, tl.sum(total, 1), mask=row < rows)


@triton.jit
def weighted(
    x, xb, xr, xl, weights, out, rows, length, TR: tl.constexpr, TL: tl.constexpr
):  # fmt: skip
    """out = sum_l x w_l, with weights (B, L)"""
    batch, row = _place(rows, TR)
    total = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        w = tl.load(weights + batch * length + at, mask=at < length, other=0.0).to(tl.float32)
        total += _read(x, _offsets(row, at, batch, xb, xr, xl), inside) * w[None, :]
    tl.store(out + batch * rows + row, tl.sum(total, 1), mask=row < rows)


@triton.jit
def weighted_backward(
    x, xb, xr, xl, weights, dout, dx, db, dr, dl, dweights, rows, length,
    TR: tl.constexpr, TL: tl.constexpr,
):  # fmt: skip
    """dx = w dout_l, dw = sum_l x dout_l; here the rows have the weights, and L the channels"""
    batch, row = _place(rows, TR)
    w = tl.load(weights + batch * rows + row, mask=row < rows, other=0.0).to(tl.float32)
    total = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        grad = tl.load(dout + batch * length + at, mask=at < length, other=0.0).to(tl.float32)
        total += _read(x, _offsets(row, at, batch, xb, xr, xl), inside) * grad[None, :]
        target = _offsets(row, at, batch, db, dr, dl)
        tl.store(dx + target, w[:, None] * grad[None, :], mask=inside)
    tl.store(dweights + batch * rows + row, tl.sum(total, 1), mask=row < rows)


@triton.jit
def deviation(
    x, xb, xr, xl, y, yb, yr, yl, center, slope, e_lambda, others, rows, length,
    TR: tl.constexpr, TL: tl.constexpr,
):  # fmt: skip
    """m = sum_l x / L, k = 1 / (4 (sum_l (x - m)^2 / others + lambda)),
    y = x sigmoid(k (x - m)^2 + 1/2); m and k are kept."""
    batch, row = _place(rows, TR)
    total = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        total += _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
    m = tl.sum(total, 1) / length
    total = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        apart = _read(x, _offsets(row, at, batch, xb, xr, xl), inside) - m[:, None]
        total += tl.where(inside, apart * apart, 0.0)
    k = 0.25 / (tl.sum(total, 1) / others + e_lambda)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        value = _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
        apart = value - m[:, None]
        g = tl.sigmoid(apart * apart * k[:, None] + 0.5)
        tl.store(y + _offsets(row, at, batch, yb, yr, yl), value * g, mask=inside)
    tl.store(center + batch * rows + row, m, mask=row < rows)
    tl.store(slope + batch * rows + row, k, mask=row < rows)


@triton.jit
def deviation_backward(
    dy, yb, yr, yl, x, xb, xr, xl, dx, db, dr, dl, center, slope, others, rows, length,
    TR: tl.constexpr, TL: tl.constexpr,
):  # fmt: skip
    """With a = x - m, g the gate, and u = dy x g (1 - g):
    dx = dy g + 2 a (k u - 4 k^2 sum_l (u a^2) / others) - 2 k sum_l (u a) / L"""
    batch, row = _place(rows, TR)
    m = tl.load(center + batch * rows + row, mask=row < rows, other=0.0)[:, None]
    k = tl.load(slope + batch * rows + row, mask=row < rows, other=0.0)[:, None]
    squares = tl.zeros((TR, TL), tl.float32)
    firsts = tl.zeros((TR, TL), tl.float32)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        value = _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
        a = value - m
        g = tl.sigmoid(a * a * k + 0.5)
        u = _read(dy, _offsets(row, at, batch, yb, yr, yl), inside) * value * g * (1 - g)
        squares += u * a * a
        firsts += u * a
    spread = (4 * k * k) * (tl.sum(squares, 1)[:, None] / others)
    shift = (2 * k) * (tl.sum(firsts, 1)[:, None] / length)
    for start in range(0, length, TL):
        at = start + tl.arange(0, TL)
        inside = (row < rows)[:, None] & (at < length)[None, :]
        value = _read(x, _offsets(row, at, batch, xb, xr, xl), inside)
        grad = _read(dy, _offsets(row, at, batch, yb, yr, yl), inside)
        a = value - m
        g = tl.sigmoid(a * a * k + 0.5)
        found = grad * g + 2 * a * (k * (grad * value * g * (1 - g)) - spread) - shift
        tl.store(dx + _offsets(row, at, batch, db, dr, dl), found, mask=inside)


@triton.jit
def axes(
    x, xb, xc, xp, by_row, by_column, y, yb, yc, yp, channels, height, width,
    TC: tl.constexpr, TW: tl.constexpr,
):  # fmt: skip
    """y[c, h, w] = x[c, h, w] by_column[c, w] by_row[c, h]; TC channels and TW columns at once"""
    across = tl.cdiv(width, TW)
    column = (tl.program_id(0) % across) * TW + tl.arange(0, TW)
    program, tiles = tl.program_id(0) // across, tl.cdiv(channels, TC)
    batch, channel = (program // tiles).to(tl.int64), (program % tiles) * TC + tl.arange(0, TC)
    inside = (channel < channels)[:, None] & (column < width)[None, :]
    owner = batch * channels + channel  # the place of a channel among those of all images
    vertical = _read(by_column, owner[:, None] * width + column[None, :], inside)
    for h in range(0, height):
        at = h * width + column
        value = _read(x, _offsets(channel, at, batch, xb, xc, xp), inside) * vertical
        line = tl.load(by_row + owner * height + h, mask=channel < channels, other=0.0)
        found = value * line.to(tl.float32)[:, None]
        tl.store(y + _offsets(channel, at, batch, yb, yc, yp), found, mask=inside)


@triton.jit
def axes_backward(
    dy, yb, yc, yp, x, xb, xc, xp, by_row, by_column, dx, db, dc, dp, drow, dcolumn,
    images, channels, height, width, TC: tl.constexpr, TW: tl.constexpr,
):  # fmt: skip
    """dx = dy by_column by_row, dcolumn = sum_h dy x by_row, drow = sum_w dy x by_column.

    drow is (tiles of columns, B, C, H): one part for each tile, to be added up.
    """
    across = tl.cdiv(width, TW)
    part = tl.program_id(0) % across
    column = part * TW + tl.arange(0, TW)
    program, tiles = tl.program_id(0) // across, tl.cdiv(channels, TC)
    batch, channel = (program // tiles).to(tl.int64), (program % tiles) * TC + tl.arange(0, TC)
    inside = (channel < channels)[:, None] & (column < width)[None, :]
    owner = batch * channels + channel
    vertical = _read(by_column, owner[:, None] * width + column[None, :], inside)
    total = tl.zeros((TC, TW), tl.float32)
    for h in range(0, height):
        at = h * width + column
        line = tl.load(by_row + owner * height + h, mask=channel < channels, other=0.0)
        line = line.to(tl.float32)[:, None]
        grad = _read(dy, _offsets(channel, at, batch, yb, yc, yp), inside)
        product = grad * _read(x, _offsets(channel, at, batch, xb, xc, xp), inside)
        found = grad * vertical * line
        tl.store(dx + _offsets(channel, at, batch, db, dc, dp), found, mask=inside)
        total += product * line
        target = (part * images * channels + owner) * height + h
        tl.store(drow + target, tl.sum(product * vertical, 1), mask=channel < channels)
    tl.store(dcolumn + owner[:, None] * width + column[None, :], total, mask=inside)
