"""LLF: the later layers are redrawn before every round (Zhou et al. 2022, "later-layer forgetting")."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.methods.base import Context, Mask, Redraw, full_mask
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import is_kernel, norm_names


@dataclass(frozen=True, kw_only=True)
class Llf(Redraw):
    """Redraws blocks `first_block` to K and the top before every round but the first; norms are kept.

    In the authors' code (hlml/fortuitous_forgetting, llf_ke/train_KE_cls.py) the named layer itself is redrawn too, the
    dense biases are kept, and an option resets the norms of the whole network. They name ResNet18's layer3 or layer4.
    """

    first_block: int | None = setting(None, least=1)
    """The lowest block that is redrawn, from 1; null: the upper half, which begins at block floor(K / 2) + 1."""
    reset_norms: bool = setting(False)
    """Also reset the norms' scales and shifts there."""
    reset_biases: bool = setting(True)
    """Also set the biases there to zero."""

    def rounds(self, num_blocks: int, repeats: int, max_steps: int) -> tuple[Round, ...]:
        if self.first_block is not None and self.first_block > num_blocks:
            raise ConfigError(f"method.first_block={self.first_block}, but the model has {num_blocks} blocks")
        return super().rounds(num_blocks, repeats, max_steps)

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        first = self.first_block or net.num_blocks // 2 + 1
        norms, mask = set(norm_names(net)), full_mask(net, net.names_above(first - 1))
        return {name: chosen for name, chosen in mask.items() if self._is_reset(name in norms, is_kernel(name, chosen))}

    def _is_reset(self, in_norm: bool, in_kernel: bool) -> bool:
        return self.reset_norms if in_norm else in_kernel or self.reset_biases
