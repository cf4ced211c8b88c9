"""Builds the objects that an experiment's sections describe, and assembles from them what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.data.task import Task
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import Initializer, initial_values, initialize
from reinit_bench.models.layers import Architecture
from reinit_bench.models.parameters import frobenius
from reinit_bench.training.device import choose_device


@dataclass(frozen=True)
class Components:
    """The objects that an experiment's sections name; building them checks their settings."""

    method: Reinitializer
    architecture: Architecture
    initializer: Initializer
    device: torch.device

    @classmethod
    def of(cls, experiment: Experiment, execution: Execution) -> Components:
        """Build every component; dataset and augmentation are only checked here, and built when the data are loaded.

        Raises:
            ConfigError: a section names no class, or a setting is wrong.
        """
        instantiate(experiment.dataset, "dataset")
        instantiate(experiment.augmentation, "augmentation")
        return cls(
            method=instantiate(experiment.method, "method"),
            architecture=instantiate(experiment.model, "model"),
            initializer=instantiate(experiment.initializer, "initializer"),
            device=choose_device(execution.device),
        )


@dataclass(frozen=True)
class Assembly:
    """An experiment ready to be trained: its task, its network with fresh weights, and its rounds."""

    experiment: Experiment
    components: Components
    task: Task
    net: BlockNet
    initial_norms: Mapping[str, float]
    """Each parameter's Frobenius norm at initialization, which rescaling restores."""
    rounds: tuple[Round, ...]
    pretrained: Mapping[str, Tensor]
    """The parameters that came with the network, as they were at initialization."""

    def context(self, current: Round) -> Context:
        """What the method may know at the start of this round."""
        task = self.task.of_round(current.index)
        return Context(
            round=current,
            seed=self.experiment.seed,
            initializer=self.components.initializer,
            initial=self._initial,
            initial_norms=self.initial_norms,
            examples=lambda count: task.sample(count, stream(self.experiment.seed, "sample")),
            batches=partial(task.batches, "train"),
            micro_batch=self.experiment.trainer.micro_batch,
        )

    def _initial(self) -> dict[str, Tensor]:
        # Drawn again when a method asks: keeping them would cost every run the memory of a second network.
        names = [name for name, _ in self.net.named_parameters() if name not in self.pretrained]
        drawn = initial_values(self.net, self.components.initializer, names, self.experiment.seed, "initialize")
        return {**drawn, **self.pretrained}


def assemble(components: Components, experiment: Experiment, task: Task) -> Assembly:
    """Build and initialize the network, and lay out the rounds.

    Raises:
        ConfigError: the training split grows more often than there are rounds; a method does not fit the model.
    """
    net = build_network(components, experiment, task)
    parameters = dict(net.named_parameters())
    norms = {name: frobenius(parameter) for name, parameter in parameters.items()}
    method = components.method
    rounds = method.rounds(net.num_blocks, method.repeats, experiment.trainer.max_steps)
    if len(task.growth) > len(rounds):
        raise ConfigError(
            f"dataset.growth has {len(task.growth)} shares, but {experiment.method['name']} has {len(rounds)} "
            f"round{'s' if len(rounds) > 1 else ''}; the baseline on growing data is method=restart"
        )
    pretrained = {name: parameters[name].detach().clone() for name in net.pretrained}
    return Assembly(experiment, components, task, net, norms, rounds, pretrained)


def build_network(components: Components, experiment: Experiment, task: Task) -> BlockNet:
    """The experiment's network, initialized from its seed, on the task's device; channels last for images.

    Parameters that came with values keep them.
    """
    net = components.architecture.build(task.input_shape, task.num_classes, float(experiment.dropout["rate"]))
    initialize(net, components.initializer, experiment.seed, "initialize", kept=net.pretrained)
    if len(task.input_shape) == 3:
        net = net.to(memory_format=torch.channels_last)
    return net.to(task.device)
