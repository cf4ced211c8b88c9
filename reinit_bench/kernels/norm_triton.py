# ruff: noqa: N803 (sizes in capitals, as everywhere in Triton)
# mypy: disable-error-code="no-untyped-def, misc"
"""Triton kernels of GroupNorm with one group and ReLU, for images that are channels last in memory.

An example's C * H * W numbers are contiguous, so that a kernel reads it as rows of pixels with C columns. All sums are
taken in fp32, whatever the precision of the images, and in an order that does not depend on the run: no atomic
operations. Statistics of parts are combined by their means and squared deviations (Chan et al. 1979), not by sums of
squares, so that a large mean costs no digits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_TILE = 4096
"""Numbers that one program holds at once: rows times columns."""
_PARTS = 32
"""Maximum number of parts that one example is cut into; each has its own statistics."""


@triton.jit
def _load(x, row, rows, C, columns, R: tl.constexpr):
    """A tile of R pixels from `row` on, fp32, zero outside; and a mask of what is inside."""
    at = row + tl.arange(0, R)
    inside = (at < rows)[:, None] & (columns < C)[None, :]
    return tl.load(x + at[:, None] * C + columns[None, :], mask=inside, other=0.0).to(tl.float32), inside


@triton.jit
def _statistics(x, count, mean, square, P, C, rows_per_part, R: tl.constexpr, B: tl.constexpr):
    """For one part of one example: how many numbers, their mean, the sum of their squared deviations from it."""
    example, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = tl.arange(0, B)
    x += example * P * C
    first = part * rows_per_part
    last = tl.minimum(first + rows_per_part, P)
    n, m, s = 0.0, 0.0, 0.0
    for row in range(first, last, R):
        values, inside = _load(x, row, last, C, columns, R)
        k = (tl.minimum(last - row, R) * C).to(tl.float32)
        tile_mean = tl.sum(values) / k
        deviation = tl.where(inside, values - tile_mean, 0.0)
        gap = tile_mean - m
        total = n + k
        s += tl.sum(deviation * deviation) + gap * gap * (n * k / total)
        m += gap * (k / total)
        n = total
    at = example * tl.num_programs(1) + part
    tl.store(count + at, n)
    tl.store(mean + at, m)
    tl.store(square + at, s)


@triton.jit
def _normalize(
    x, y, mean, rstd, weight, bias, P, C, rows_per_part, R: tl.constexpr, B: tl.constexpr, RELU: tl.constexpr
):
    """y = (x - mean) * rstd * weight + bias, clipped at zero with RELU; for one part of one example."""
    example, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = tl.arange(0, B)
    w = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    b = tl.load(bias + columns, mask=columns < C, other=0.0).to(tl.float32)
    m, r = tl.load(mean + example), tl.load(rstd + example)
    x += example * P * C
    y += example * P * C
    first = part * rows_per_part
    last = tl.minimum(first + rows_per_part, P)
    for row in range(first, last, R):
        values, inside = _load(x, row, last, C, columns, R)
        out = (values - m) * r * w[None, :] + b[None, :]
        if RELU:
            out = tl.where(out < 0.0, 0.0, out)  # a NaN stays NaN
        at = (row + tl.arange(0, R))[:, None] * C + columns[None, :]
        tl.store(y + at, out.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _gradient_sums(
    x, dy, sums, mean, rstd, weight, bias, P, C, rows_per_part, R: tl.constexpr, B: tl.constexpr, RELU: tl.constexpr
):
    """For one part of one example, per channel: sum of dy, and sum of dy * xhat; `sums` is (n, parts, 2, C)."""
    example, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = tl.arange(0, B)
    w = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    b = tl.load(bias + columns, mask=columns < C, other=0.0).to(tl.float32)
    m, r = tl.load(mean + example), tl.load(rstd + example)
    x += example * P * C
    dy += example * P * C
    first = part * rows_per_part
    last = tl.minimum(first + rows_per_part, P)
    db = tl.zeros((B,), tl.float32)
    dw = tl.zeros((B,), tl.float32)
    for row in range(first, last, R):
        values, inside = _load(x, row, last, C, columns, R)
        gradient, _ = _load(dy, row, last, C, columns, R)
        xhat = tl.where(inside, (values - m) * r, 0.0)
        if RELU:
            gradient = tl.where(xhat * w[None, :] + b[None, :] > 0.0, gradient, 0.0)
        db += tl.sum(gradient, 0)
        dw += tl.sum(gradient * xhat, 0)
    at = (example * tl.num_programs(1) + part) * 2 * C + columns
    tl.store(sums + at, db, mask=columns < C)
    tl.store(sums + at + C, dw, mask=columns < C)


@triton.jit
def _input_gradient(
    x, dy, dx, shift, slope, mean, rstd, weight, bias,
    P, C, rows_per_part, R: tl.constexpr, B: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """dx = rstd * (dy * weight - shift - xhat * slope); shift and slope are the example's two means."""
    example, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = tl.arange(0, B)
    w = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    b = tl.load(bias + columns, mask=columns < C, other=0.0).to(tl.float32)
    m, r = tl.load(mean + example), tl.load(rstd + example)
    flat, steep = tl.load(shift + example), tl.load(slope + example)
    x += example * P * C
    dy += example * P * C
    dx += example * P * C
    first = part * rows_per_part
    last = tl.minimum(first + rows_per_part, P)
    for row in range(first, last, R):
        values, inside = _load(x, row, last, C, columns, R)
        gradient, _ = _load(dy, row, last, C, columns, R)
        xhat = (values - m) * r
        if RELU:
            gradient = tl.where(xhat * w[None, :] + b[None, :] > 0.0, gradient, 0.0)
        out = r * (gradient * w[None, :] - flat - xhat * steep)
        at = (row + tl.arange(0, R))[:, None] * C + columns[None, :]
        tl.store(dx + at, out.to(dx.dtype.element_ty), mask=inside)


def _grid(x: Tensor) -> tuple[tuple[int, int], tuple[int, int, int], dict[str, Any]]:
    """The grid (examples, parts), the sizes that every kernel is given, and its constants."""
    n, channels, height, width = x.shape
    pixels = height * width
    columns = triton.next_power_of_2(channels)
    rows = max(1, _TILE // columns)
    per_part = rows * -(-pixels // (rows * _PARTS))
    return (n, -(-pixels // per_part)), (pixels, channels, per_part), {"R": rows, "B": columns}


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, relu: bool) -> Tensor:
        grid, sizes, constants = _grid(x)
        count, means, squares = torch.empty((3, *grid), dtype=torch.float32, device=x.device)
        _statistics[grid](x, count, means, squares, *sizes, **constants)
        total = x[0].numel()
        mean = (means * count).sum(1) / total
        square = squares.sum(1) + (count * (means - mean[:, None]).square()).sum(1)
        rstd = torch.rsqrt(square / total + epsilon)
        y = torch.empty_like(x)
        _normalize[grid](x, y, mean, rstd, weight, bias, *sizes, **constants, RELU=relu)
        ctx.save_for_backward(x, mean, rstd, weight, bias)
        ctx.relu = relu
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, rstd, weight, bias = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        grid, sizes, constants = _grid(x)
        parts = torch.empty((*grid, 2, x.shape[1]), dtype=torch.float32, device=x.device)
        _gradient_sums[grid](x, dy, parts, mean, rstd, weight, bias, *sizes, **constants, RELU=ctx.relu)
        sums = parts.sum(1)
        dx = None
        if ctx.needs_input_grad[0]:
            shift, slope = ((sums * weight).sum(2) / x[0].numel()).t().contiguous()
            dx = torch.empty_like(x)
            _input_gradient[grid](x, dy, dx, shift, slope, mean, rstd, weight, bias, *sizes, **constants, RELU=ctx.relu)
        dbias, dweight = sums.sum(0)
        return dx, dweight.to(weight.dtype), dbias.to(bias.dtype), None, None


def group_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, relu: bool) -> Tensor:
    """The norm of images `x` (n, C, H, W), channels last, in the precision of `x`; with `relu` clipped at zero."""
    y: Tensor = _GroupNorm.apply(x, weight, bias, epsilon, relu)
    return y
