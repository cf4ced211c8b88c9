"""The two steps of Algorithm 1 that change a network without redrawing it: rescaling and the lambda layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import frobenius, is_loose, kernel_names, modes_kept, norm_carrier

_CHUNK = 32  # examples at a time: block 1 of vgg16 outputs 13 MB per image at 224x224
_ROUNDING = 1e-12  # a variance below this share of the mean square is a constant's rounding error


@torch.no_grad()
def rescale(
    net: BlockNet, block: int, initial_norms: Mapping[str, float], unit: str = "layer", scope: str = "kernels"
) -> None:
    """Algorithm 1, line 4: scale the kernels of blocks 1 to `block` back to their norm at initialization.

    With `unit="layer"` each kernel gets its own Frobenius norm back; with `"block"` each block's kernels are scaled by
    one factor, to their joint norm at initialization. With `scope="kernels"` biases and norm layers stay. With `"all"`
    a layer is a kernel with its bias, or a norm's scale with its shift, and one factor gives their joint norm back: a
    bias or shift, which begins at 0, is scaled with its layer and not set to 0. The outputs of a layer that a norm
    follows then stay what they were, but for the epsilon. What began at zero has no norm to go back to, and stays.

    Raises:
        ValueError: parameters are all zero, so that no factor restores their norm.
    """
    parameters = dict(net.named_parameters())
    blocks = [_scaled_names(net, k, scope) for k in range(1, block + 1)]
    groups = blocks if unit == "block" else [names for among in blocks for names in _layers(among)]
    for names in filter(None, groups):
        wanted = math.hypot(*(initial_norms[name] for name in names))
        if wanted == 0.0:
            continue
        now = math.hypot(*(frobenius(parameters[name]) for name in names))
        if now == 0.0:
            raise ValueError(f"{names[0]} is all zero and cannot be rescaled")
        for name in names:
            parameters[name].mul_(wanted / now)


def _scaled_names(net: BlockNet, block: int, scope: str) -> tuple[str, ...]:
    """What is rescaled in a block."""
    names = net.names_in_blocks(block, block)
    kernels = kernel_names(net, names)
    chosen = kernels if scope == "kernels" else [name for name in names if not is_loose(name)]
    carriers = [norm_carrier(net, name) if name in kernels else name for name in chosen]
    return tuple(name for name in carriers if name is not None)


def _layers(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The parameters of each layer."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        layer = name.rpartition(".")[0].partition(".parametrizations.")[0]
        found[layer] = (*found.get(layer, ()), name)
    return list(found.values())


@torch.no_grad()
def fill_lambda(net: BlockNet, block: int, sample: Tensor) -> None:
    """Algorithm 1, lines 5 to 11: normalize block `block`'s output to mean 0, standard deviation 1 over `sample`.

    The statistics are two scalars over all examples and positions, in evaluation mode and full precision.

    Raises:
        ValueError: the output is constant (its units are dead) or not finite.
    """
    total, squares, count = 0.0, 0.0, 0
    with modes_kept(net):
        net.eval()
        for part in sample.split(_CHUNK):
            output = net.block_output(part, block).double()
            total += float(output.sum())
            squares += float(output.square().sum())
            count += output.numel()
    mean, mean_square = total / count, squares / count
    variance = mean_square - mean**2
    # For a constant output the sums leave a variance near 1e-17 of its square: dividing by that amplifies rounding.
    std = 0.0 if variance <= _ROUNDING * mean_square else math.sqrt(variance)
    net.lambda_of(block).fill(torch.tensor(mean), torch.tensor(std))
