"""SNIP: the least salient fifth of the kernels is redrawn before every round (LURE, Ramkumar et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask
from reinit_bench.methods.gradients import gradient
from reinit_bench.methods.subset import SubsetMethod, smallest_mask
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Snip(SubsetMethod):
    """Redraws the 20% of lowest |gradient * w|, found again before every round but the first.

    The authors' code (NeurAI-Lab/LURE, LURE_main.py and pruning.py) takes one batch of 100 examples, ranks biases and
    norms among the kernels, redraws norm scales too, and takes all that ties with the last. Here exactly the given
    share of the kernels is redrawn, and ties go to the earlier position (`scope=all` ranks and redraws everything).
    """

    selection: str = setting("network", choices=("network", "tensor"))
    """What `fraction` refers to: the whole network, or each tensor."""
    sample_examples: int = setting(256, least=1)
    """Number of training examples over which the gradient is taken."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        inputs, labels = context.examples(self.sample_examples)
        gradients, parameters = gradient(net, inputs, labels, context.micro_batch), dict(net.named_parameters())
        with torch.no_grad():
            saliency = {name: gradients[name] * parameters[name] for name in self.names(net)}
        return smallest_mask(saliency, self.fraction, self.selection)
