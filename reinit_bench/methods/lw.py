"""LW, the paper's layerwise reinitialization (Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.methods.base import Context, Mask, Redraw, full_mask
from reinit_bench.methods.layerwise import fill_lambda, rescale
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Lw(Redraw):
    """For k = 1..K, N times each: rescale blocks 1..k, normalize block k's output, redraw all above it, train all.

    The switches turn off single steps (Appendix F).
    """

    rescale: bool = setting(True)
    """Scale the layers of blocks 1..k back to their initial norm."""
    normalize: bool = setting(True)
    """Fill the lambda layer after block k."""
    reinitialize: bool = setting(True)
    """Redraw everything above block k."""
    freeze: bool = setting(False)
    """Train only what is above block k, after round 1, which trains everything (Appendix F, "freezing")."""
    rescale_unit: str = setting("layer", choices=("layer", "block"))
    """What gets its initial norm back: each layer, or each block's layers together."""
    rescale_scope: str = setting("kernels", choices=("kernels", "all"))
    """all: a kernel is rescaled together with its bias, and a norm's scale with its shift, by one factor each."""
    lambda_on_head: bool = setting(False)
    """If the classifier head is block K (the MLP), normalize its logits too."""
    sample_examples: int = setting(256, least=1)
    """Number of training examples over which mean and standard deviation are taken (Algorithm 1's X)."""
    clear_lambdas_above: bool = setting(False)
    """Reset the lambda layers above block k to the identity at the round's start."""
    first_round: str = setting("layerwise", choices=("layerwise", "plain"))
    """plain: an extra round of ordinary training comes before Algorithm 1's first iteration."""
    schedule: Sequence[int] | None = None
    """The block of each round, instead of 1..K, `repeats` times each (Appendix A: [1, 1, 2, 2, 3] of four layers)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule is None:
            return
        if not isinstance(self.schedule, (list, tuple)) or not self.schedule:
            raise ConfigError(f"method.schedule must be a list of block numbers, or null; got {self.schedule!r}")
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in self.schedule):
            raise ConfigError(f"method.schedule must hold block numbers from 1; got {list(self.schedule)}")
        object.__setattr__(self, "schedule", tuple(self.schedule))

    def rounds(self, num_blocks: int, repeats: int, max_steps: int) -> tuple[Round, ...]:
        """Algorithm 1's K x N iterations, or the schedule's; after a plain round if `first_round` asks for one."""
        blocks = list(self.schedule or (k for k in range(1, num_blocks + 1) for _ in range(repeats)))
        if max(blocks) > num_blocks:
            raise ConfigError(f"method.schedule names block {max(blocks)}, but the model has {num_blocks}")
        if self.first_round == "plain":
            blocks.insert(0, 0)
        return tuple(
            Round(index=i, block=k, repeat=blocks[:i].count(k), max_steps=max_steps)
            for i, k in enumerate(blocks, start=1)
        )

    def prepare(self, net: BlockNet, context: Context) -> None:
        k = context.round.block
        if k == 0:
            return
        if self.rescale:
            rescale(net, k, context.initial_norms, self.rescale_unit, self.rescale_scope)
        if self.normalize and (self.lambda_on_head or not is_head(net, k)):
            fill_lambda(net, k, context.sample(self.sample_examples))
        if self.clear_lambdas_above:
            for above in range(k + 1, net.num_blocks + 1):
                net.lambda_of(above).clear()

    def select(self, net: BlockNet, context: Context) -> Mask:
        if not self.reinitialize or context.round.block == 0:
            return {}
        return full_mask(net, net.names_above(context.round.block))

    def frozen(self, net: BlockNet, context: Context) -> frozenset[str]:
        # Round 1 trains everything: block 1 would otherwise keep its random values for good.
        if not self.freeze or context.round.index == 1:
            return frozenset()
        # The head always trains: on the MLP it is block K, and freezing it would leave the last round nothing to train.
        return frozenset(net.names_in_blocks(1, context.round.block)) - set(net.names_in_head())


def is_head(net: BlockNet, block: int) -> bool:
    """Whether `block` is the classifier head, with nothing above it (the MLP's last layer)."""
    return not net.names_above(block) and not net.tied_to_head()
