"""BlockNet: a network of K blocks and a top, the form in which Algorithm 1 sees every architecture (Figure 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.constructed import unknown_values
from reinit_bench.models.wrapping import block_of_parameters, named_blocks


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
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None
        self.part: tuple[int, int] | None = None
        self._whole = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * self.mask(x, keep) / keep

    def mask(self, x: Tensor, keep: float) -> Tensor:
        """Ones with probability `keep`, else zeros, in the shape of `x`."""
        if self.part is None:
            return torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        start, count = self.part
        if start == 0:
            in_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
            layout = torch.channels_last if in_last else torch.contiguous_format
            self._whole = torch.empty((count, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=layout)
            self._whole.bernoulli_(keep, generator=self.generator)
        return self._whole[start : start + len(x)]


class BlockNet(nn.Module):
    """K blocks, bottom first, each followed by its lambda slot, then the top (everything after block K).

    Args:
        blocks: the paper's K blocks; block k's output is what Algorithm 1 normalizes (pooling included).
        top: what follows: pooling, dense layers, the classifier head. `nn.Identity()` if the head is a block.

    Attributes:
        pretrained: names of the parameters whose values are not to be drawn: they came with the network.
        constructed: the parameters that no initializer knows, as their constructor has made them.
        rebuild: builds this network anew, if that is known.
    """

    pretrained: frozenset[str] = frozenset()
    rebuild: Callable[[], nn.Module] | None = None

    def __init__(self, blocks: Iterable[nn.Module], top: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.lambdas = nn.ModuleList(Lambda() for _ in self.blocks)
        self.top = top
        self.constructed = unknown_values(self)

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

    def blocks_by_name(self) -> Mapping[str, int]:
        """For each parameter the number of its block, from 1; K + 1 for the top."""
        inside = [(name, name.split(".")) for name, _ in self.named_parameters()]
        return {name: int(path[1]) + 1 if path[0] == "blocks" else self.num_blocks + 1 for name, path in inside}

    def names_in_blocks(self, first: int, last: int) -> tuple[str, ...]:
        """Names of all parameters in blocks `first` to `last`, both counted from 1 and included."""
        return tuple(name for name, k in self.blocks_by_name().items() if first <= k <= last)

    def names_in_top(self) -> tuple[str, ...]:
        """Names of all parameters after block K."""
        return self.names_in_blocks(self.num_blocks + 1, self.num_blocks + 1)

    def names_above(self, k: int) -> tuple[str, ...]:
        """Names of all parameters above block `k`: later blocks and the top (Algorithm 1, line 12)."""
        return self.names_in_blocks(k + 1, self.num_blocks) + self.names_in_top()

    def names_in_head(self) -> tuple[str, ...]:
        """Names of the classifier head's parameters: the last dense layer of the network.

        Raises:
            ConfigError: another layer has them too.
        """
        tied = self.tied_to_head()
        if tied:
            raise ConfigError(
                f"the classifier head shares {', '.join(tied)} with other layers: what redraws the head alone does not "
                "apply to tied weights"
            )
        return tuple(name for name, _ in self.named_parameters() if name.startswith(f"{self.head_name()}."))

    def tied_to_head(self) -> tuple[str, ...]:
        """Under which names other layers have the head's parameters."""
        head = self.head_name()
        own = {id(value) for value in self.get_submodule(head).parameters()} if head else ()
        others = self.named_parameters(remove_duplicate=False)
        return tuple(name for name, value in others if id(value) in own and not name.startswith(f"{head}."))

    def head_name(self) -> str:
        """Name of the classifier head; empty: there is none."""
        heads = [name for name, module in self.named_modules() if isinstance(module, nn.Linear)]
        return heads[-1] if heads else ""


class WrappedNet(BlockNet):
    """What `BlockNet.wrap` returns: a network of the user's, whose lambda slots act as forward hooks on its blocks.

    Attributes:
        model: the user's network. Its state dict has the keys it had; in this net's they begin with `model.`, and the
            lambdas' are `lambdas.0.mean` and so on.
        block_names: the blocks, as they were named.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[str]) -> None:
        nn.Module.__init__(self)  # not BlockNet's: the blocks stay where they are in the model
        if isinstance(model, BlockNet):
            raise ConfigError("this network is a BlockNet: use it as it is")
        if any(isinstance(hook, _Normalize) for module in model.modules() for hook in module._forward_hooks.values()):
            raise ConfigError("this network is wrapped already: use that BlockNet, or wrap what its unwrap() returns")
        modules = named_blocks(model, blocks)
        self.model = model
        self.training = model.training
        self.block_names = tuple(blocks)
        self.lambdas = nn.ModuleList(Lambda() for _ in modules)
        first = next(model.parameters(), None)
        if first is not None:
            self.lambdas.to(first.device)
        hooks = [_Normalize(self.lambda_of(k)) for k in range(1, len(modules) + 1)]
        # A handle that is loaded from a file reserves its hook's number, which a later hook would otherwise take over.
        self._handles = [block.register_forward_hook(hook) for block, hook in zip(modules, hooks, strict=True)]
        self._block_of: dict[str, int] | None = None
        self._head = ""
        self.constructed = unknown_values(self)

    @property
    def traced(self) -> bool:
        """Whether it is known which parameters belong to which block."""
        return self._block_of is not None

    def trace(self, sample: Tensor) -> None:
        """Find which block each parameter belongs to; see `wrapping.block_of_parameters`."""
        block_of, head = block_of_parameters(self.model, self.block_names, sample)
        self._block_of = {f"model.{name}": k for name, k in block_of.items()}
        self._head = f"model.{head}" if head else ""

    def unwrap(self) -> nn.Module:
        """The model without lambdas. It can then be wrapped again; this net is of no more use."""
        for handle in self._handles:
            handle.remove()
        return self.model

    def forward(self, x: Tensor) -> Tensor:
        if not self.traced and not torch.compiler.is_compiling():
            self.trace(x)
        output: Tensor = self.model(x)
        return output

    def block_output(self, x: Tensor, k: int) -> Tensor:
        assert 1 <= k <= self.num_blocks, f"block {k} of {self.num_blocks}"

        def stop(block: nn.Module, inputs: Any, output: Tensor) -> None:
            raise _Reached(output)

        # Before the lambda's hook.
        handle = self.model.get_submodule(self.block_names[k - 1]).register_forward_hook(stop, prepend=True)
        try:
            self.model(x)
        except _Reached as reached:
            return reached.output
        finally:
            handle.remove()
        raise ConfigError(f"block {self.block_names[k - 1]!r} was not called in this forward pass")

    def head_name(self) -> str:
        """Name of the dense layer that is called last; without any, of the convolution."""
        self.blocks_by_name()
        return self._head

    def blocks_by_name(self) -> Mapping[str, int]:
        if self._block_of is None:
            raise ConfigError(
                "it is not known yet which parameters belong to which block: give BlockNet.wrap sample=INPUTS, or call "
                "the net once"
            )
        return self._block_of


class _Normalize:
    """A forward hook: hands a block's output through its lambda.

    An object that holds the lambda, and no closure: copied or pickled with the network, the two stay together.
    """

    def __init__(self, slot: Lambda) -> None:
        self.slot = slot

    def __call__(self, block: nn.Module, inputs: Any, output: Any) -> Any:
        return self.slot(output)


class _Reached(Exception):
    """Stops a forward pass at a block's output."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output
