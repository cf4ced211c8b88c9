"""What an experiment's sections describe, built: method, architecture, initializer, device; and the network."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.settings import instantiate
from reinit_bench.data.task import Task
from reinit_bench.methods.base import Reinitializer
from reinit_bench.methods.layerwise import frobenius
from reinit_bench.models.blocknet import BlockNet, kernel_names
from reinit_bench.models.initializers import Initializer, initialize
from reinit_bench.models.layers import Architecture
from reinit_bench.training.device import choose_device


@dataclass(frozen=True)
class Parts:
    """What an experiment's sections describe, built; building them checks their settings."""

    method: Reinitializer
    architecture: Architecture
    initializer: Initializer
    device: torch.device

    @classmethod
    def of(cls, experiment: Experiment, execution: Execution) -> Parts:
        """Build every part; a dataset and an augmentation are checked too, and built again where they are loaded."""
        instantiate(experiment.dataset, "dataset")
        instantiate(experiment.augmentation, "augmentation")
        return cls(
            method=instantiate(experiment.method, "method"),
            architecture=instantiate(experiment.model, "model"),
            initializer=instantiate(experiment.initializer, "initializer"),
            device=choose_device(execution.device),
        )


def initial_norms(net: BlockNet) -> dict[str, float]:
    """Each kernel's Frobenius norm; taken at initialization, it is what rescaling goes back to."""
    parameters = dict(net.named_parameters())
    return {name: frobenius(parameters[name]) for name in kernel_names(net)}


def build_network(parts: Parts, experiment: Experiment, task: Task) -> BlockNet:
    """The experiment's network, initialized from its seed, on the task's device, channels last."""
    net = parts.architecture.build(task.input_shape, task.num_classes, float(experiment.dropout["rate"]))
    initialize(net, parts.initializer, experiment.seed, "initialize")
    if len(task.input_shape) == 3:
        net = net.to(memory_format=torch.channels_last)
    return net.to(task.device)
