"""BlockNet: a network of K blocks and a top, the form in which Algorithm 1 sees every architecture (Figure 1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from reinit_bench.models.wrapped import WrappedNet


class Lambda(nn.Module):
    """Algorithm 1's normalization layer, x -> (x - mean) / std with two scalar buffers and nothing to train.

    It is the identity until `fill` is called, so that a network has the same state-dict keys in every round.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        # Skipping the identity saves two passes over every activation; x - 0 and x / 1 are exact, so nothing changes.
        self._is_identity = True
        self.register_load_state_dict_post_hook(_look_again)  # a function of the module's, so that nets can be pickled

    def fill(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics (two scalars).

        Raises:
            ValueError: the standard deviation is zero or not finite, so that no normalization exists.
        """
        if not (torch.isfinite(mean) and torch.isfinite(std) and std > 0):
            raise ValueError(f"a lambda layer needs a finite mean and a positive std; got {mean:g} and {std:g}")
        self.mean.copy_(mean)
        self.std.copy_(std)
        self._look()

    def clear(self) -> None:
        """Become the identity again."""
        self.mean.zero_()
        self.std.fill_(1.0)
        self._look()

    @property
    def is_identity(self) -> bool:
        """Whether it puts out what comes in."""
        return self._is_identity

    def _look(self) -> None:
        self._is_identity = bool(self.mean == 0) and bool(self.std == 1)

    def forward(self, x: Tensor) -> Tensor:
        # A compiled network always computes it (it is fused away): one compilation serves all rounds. It must not even
        # check whether this is the identity, or it would be recompiled when that changes.
        if not torch.compiler.is_compiling() and self._is_identity:
            return x
        return (x - self.mean) / self.std


def _look_again(slot: Lambda, keys: object) -> None:
    slot._look()


class Dropout(nn.Module):
    """Dropout with masks from a generator that the training loop hands in: a resumed run draws the same masks.

    Attributes:
        generator: what masks are drawn from; None: torch's default generator.
        part: if a minibatch goes through the network in parts, the part's first example and the minibatch's number of
            examples: one mask is drawn for the whole minibatch, at its first part. None: it goes through whole.
        drawn: masks that were drawn before, one for each call; None: they are drawn when they are needed.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None
        self.part: tuple[int, int] | None = None
        self.drawn: Iterator[Tensor] | None = None
        self._whole = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * self.mask(x, keep) / keep

    def mask(self, x: Tensor, keep: float) -> Tensor:
        """Ones with probability `keep`, else zeros, in the shape of `x`."""
        if self.drawn is not None:
            return next(self.drawn)
        if self.part is None:
            return torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        start, count = self.part
        if start == 0:
            in_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
            layout = torch.channels_last if in_last else torch.contiguous_format
            self._whole = torch.empty((count, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=layout)
            self._whole.bernoulli_(keep, generator=self.generator)
        return self._whole[start : start + len(x)]

    def draw(self, mask: Tensor) -> None:
        """Fill `mask` with what the next call of `mask` would return."""
        mask.bernoulli_(1.0 - self.rate, generator=self.generator)


class BlockNet(nn.Module):
    """K blocks, bottom first, each followed by its lambda slot, then the top (everything after block K).

    Args:
        blocks: the paper's K blocks; block k's output is what Algorithm 1 normalizes (pooling included).
        top: what follows: pooling, dense layers, the classifier head. `nn.Identity()` if the head is a block.

    Attributes:
        pretrained: names of the parameters whose values are not to be drawn: they came with the network.
    """

    pretrained: frozenset[str] = frozenset()

    def __init__(self, blocks: Iterable[nn.Module], top: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.lambdas = nn.ModuleList(Lambda() for _ in self.blocks)
        self.top = top

    @staticmethod
    def wrap(model: nn.Module, blocks: Sequence[str], sample: Tensor | None = None) -> WrappedNet:
        """Any network as a BlockNet; `model` keeps its forward pass, its parameters and the keys of its state dict.

        What comes before block 1 belongs to it, what lies between two blocks to the later one, and what comes after
        the last is the top.

        Args:
            model: takes one tensor (n, ...).
            blocks: names of submodules, as in `model.named_modules()`, in the order in which they are called. Each puts
                out one tensor and is called once in a forward pass.
            sample: inputs (n, ...), two of which are sent through the model to see which parameters belong to which
                block. Without it, this happens when the net is first called.

        Raises:
            ConfigError: these submodules cannot be the blocks; the message says what to name.
        """
        from reinit_bench.models.wrapped import WrappedNet

        net = WrappedNet(model, blocks)
        if sample is not None:
            try:
                net.trace(sample)
            except Exception:
                net.unwrap()  # so that the caller can try again
                raise
        return net

    @property
    def num_blocks(self) -> int:
        """The paper's K."""
        return len(self.lambdas)

    def forward(self, x: Tensor) -> Tensor:
        for block, normalize in zip(self.blocks, self.lambdas, strict=True):
            x = normalize(block(x))
        return self.top(x)

    def block_output(self, x: Tensor, k: int) -> Tensor:
        """The output of block `k` (counted from 1), before its own lambda and after those below it."""
        assert 1 <= k <= self.num_blocks, f"block {k} of {self.num_blocks}"
        for block, normalize in zip(self.blocks[: k - 1], self.lambdas[: k - 1], strict=True):
            x = normalize(block(x))
        return self.blocks[k - 1](x)

    def lambda_of(self, k: int) -> Lambda:
        """The lambda slot after block `k` (counted from 1)."""
        slot = self.lambdas[k - 1]
        assert isinstance(slot, Lambda)
        return slot

    def names_in_blocks(self, first: int, last: int) -> tuple[str, ...]:
        """Names of all parameters in blocks `first` to `last`, both counted from 1 and included."""
        prefixes = tuple(f"blocks.{k - 1}." for k in range(first, last + 1))
        return tuple(name for name, _ in self.named_parameters() if name.startswith(prefixes))

    def names_in_top(self) -> tuple[str, ...]:
        """Names of all parameters after block K."""
        return tuple(name for name, _ in self.named_parameters() if name.startswith("top."))

    def names_above(self, k: int) -> tuple[str, ...]:
        """Names of all parameters above block `k`: later blocks and the top (Algorithm 1, line 12)."""
        return self.names_in_blocks(k + 1, self.num_blocks) + self.names_in_top()

    def names_in_head(self) -> tuple[str, ...]:
        """Names of the classifier head's parameters: the last dense layer of the network."""
        heads = [name for name, module in self.named_modules() if isinstance(module, nn.Linear)]
        return tuple(name for name, _ in self.named_parameters() if name.startswith(f"{heads[-1]}.")) if heads else ()


NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)  # the last: batch and instance norms
"""The layers whose parameters are a scale (`weight`) and a shift (`bias`) of each channel."""


def norm_names(net: nn.Module) -> tuple[str, ...]:
    """Names of the norms' scales and shifts."""
    return tuple(
        f"{name}.{parameter}"
        for name, module in net.named_modules()
        if isinstance(module, NORMS)
        for parameter, _ in module.named_parameters(recurse=False)
    )


def depthwise_channels(net: nn.Module) -> dict[str, int]:
    """The names of the depthwise kernels, which convolve each channel on its own, with the numbers of channels."""
    return {
        f"{name}.weight": layer.groups
        for name, layer in net.named_modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and layer.groups == layer.in_channels > 1
    }


@contextmanager
def modes_kept(net: nn.Module) -> Iterator[None]:
    """After this block every module is in training or evaluation mode as before, each in its own."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


NO_KERNELS: Mapping[str, tuple[float, float]] = {
    "class_token": (0.0, 0.0),
    "cls_token": (0.0, 0.02),
    "pos_embedding": (0.0, 0.02),
    "pos_embed": (0.0, 0.02),
    "relative_position_bias_table": (0.0, 0.02),
    "layer_scale": (1e-6, 0.0),
    "logit_scale": (math.log(10.0), 0.0),
}
"""What has the shape of a kernel and is added or multiplied: tokens, tables of positions and scales of transformers.

By the last part of the parameter's name: mean and deviation of fresh values, as torchvision and timm draw them.
"""


def is_kernel(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a convolution's, dense layer's or attention's kernel.

    It has two dimensions or more, which biases and the norms' scales and shifts have not, and is none of `NO_KERNELS`.
    """
    return parameter.dim() >= 2 and name.rpartition(".")[2] not in NO_KERNELS


def kernel_names(net: nn.Module, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the kernels of `net`; if `names` is given, of those among them."""
    chosen = None if names is None else set(names)
    return tuple(
        name for name, value in net.named_parameters() if is_kernel(name, value) and (chosen is None or name in chosen)
    )
