"""FC: the fully-connected layers are redrawn before every round (Section 1, "fully-connected layers")."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask, Redraw, full_mask
from reinit_bench.methods.layerwise import fill_lambda, rescale
from reinit_bench.models.blocknet import BlockNet


def last_conv_block(net: BlockNet) -> int:
    """The block above which all layers are dense.

    It is block K if the dense layers are the top, and block 1 if every layer is a block (the MLP): FC is LW with K = 1
    (Section 1).
    """
    return net.num_blocks if net.names_in_top() else 1


@dataclass(frozen=True, kw_only=True)
class Fc(Redraw):
    """Redraws every dense layer after the last convolutional block: kernels, biases and norms."""

    extent: str = setting("dense", choices=("dense", "head"))
    """Redraw all dense layers, or the classifier head alone (Zhao, Matsukawa and Suzuki 2018)."""
    layerwise: bool = setting(False)
    """Also rescale the blocks below and put a lambda layer above them: FC as LW's special case K = 1."""

    def prepare(self, net: BlockNet, context: Context) -> None:
        if self.layerwise and context.round.index > 1:
            block = last_conv_block(net)
            rescale(net, block, context.initial_norms)
            fill_lambda(net, block, context.sample(256))

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        names = net.names_in_head() if self.extent == "head" else net.names_above(last_conv_block(net))
        return full_mask(net, names)
