"""The same network made only of torch's own modules, NCHW: the reference for the fast paths."""

from __future__ import annotations

import copy

import torch
from torch import nn

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Conv, Norm


def reference_network(net: BlockNet) -> BlockNet:
    """A copy whose norms are `nn.GroupNorm` and `nn.ReLU`, its convolutions `nn.Conv2d`; names stay, layout is NCHW."""
    twin = copy.deepcopy(net)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Norm):
                plain = nn.GroupNorm(1, child.num_channels, eps=child.eps)
                if child.relu:
                    plain.register_forward_hook(lambda module, inputs, output: torch.relu(output))
                setattr(parent, name, plain)
            elif isinstance(child, Conv):
                settings = {key: getattr(child, key) for key in ("kernel_size", "stride", "padding", "groups")}
                setattr(
                    parent,
                    name,
                    nn.Conv2d(child.in_channels, child.out_channels, bias=child.bias is not None, **settings),
                )
    twin = twin.to(memory_format=torch.contiguous_format)
    twin.load_state_dict(net.state_dict())
    twin.register_forward_pre_hook(lambda module, inputs: (inputs[0].contiguous(),))
    return twin
