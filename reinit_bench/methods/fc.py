"""FC: the fully-connected layers are redrawn before every round (Section 1, "fully-connected layers")."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.methods.base import Context, Mask, Redraw, full_mask
from reinit_bench.methods.layerwise import fill_lambda, rescale
from reinit_bench.models.blocknet import BlockNet

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def last_conv_block(net: BlockNet) -> int:
    """The block above which all layers are dense.

    It is block K if the dense layers are the top, and block 1 if every layer is a block (the MLP): FC is LW with K = 1
    (Section 1).
    """
    return net.num_blocks if net.names_in_top() else 1


def dense_names(net: BlockNet) -> tuple[str, ...]:
    """Names of the parameters of the dense layers after the last convolution, and of their norms.

    They are all above `last_conv_block`, but where convolutions are in the top, too; without any dense layer after
    these, all above it.
    """
    names = net.names_above(last_conv_block(net))
    layers = [net.get_submodule(name.rpartition(".")[0]) for name in names]
    convolutions = [index for index, layer in enumerate(layers) if isinstance(layer, _CONVOLUTIONS)]
    last = max(convolutions, default=-1)
    dense = [index for index, layer in enumerate(layers) if index > last and isinstance(layer, nn.Linear)]
    return names[dense[0] :] if convolutions and dense else names


@dataclass(frozen=True, kw_only=True)
class Fc(Redraw):
    """Redraws every dense layer after the last convolutional block: kernels, biases and norms."""

    extent: str = setting("dense", choices=("dense", "head"))
    """Redraw all dense layers, or the classifier head alone (Zhao, Matsukawa and Suzuki 2018)."""
    layerwise: bool = setting(False)
    """Also rescale the blocks below and put a lambda layer above them: FC as LW's special case K = 1."""

    def prepare(self, net: BlockNet, context: Context) -> None:
        if not self.layerwise:
            return
        block = last_conv_block(net)
        if dense_names(net) != net.names_above(block):
            raise ConfigError("method.layerwise=true needs all convolutions in blocks; the model has some above them")
        if context.round.index > 1:
            rescale(net, block, context.initial_norms)
            fill_lambda(net, block, context.sample(256))

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        head = net.names_in_head()  # refuses tied weights
        return full_mask(net, head if self.extent == "head" else dense_names(net))
