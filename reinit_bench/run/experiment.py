"""One experiment from configuration to result; reads like Algorithm 1. Below it: the objects that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.data.task import Task, load_task
from reinit_bench.diagnostics import after_round, write_diagnostics
from reinit_bench.methods.base import Context, Reinitializer, begin_round
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import Initializer, initial_values, initialize
from reinit_bench.models.layers import Architecture
from reinit_bench.models.parameters import frobenius
from reinit_bench.run.record import recording, run_result, warn_at_chance
from reinit_bench.training.device import choose_device, set_up_arithmetic
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.loop import train_round
from reinit_bench.training.observer import Observer
from reinit_bench.training.round import Callbacks

LoadTask = Callable[[Experiment, torch.device], Task]


def run_experiment(
    experiment: Experiment,
    execution: Execution,
    *,
    observer: Observer | None = None,
    interrupt: Interrupt | None = None,
    load: LoadTask = load_task,
) -> dict[str, Any]:
    """Run one experiment to its end, from where an earlier attempt left off; returns its result.

    A finished experiment is not run again. `load` provides the task, for callers that reuse tasks between runs.

    Raises:
        Interrupted: a stop was requested; the same call resumes from the checkpoint.
        RunHeld: another process works on it.
        ConfigError, Diverged: it cannot be run, or it diverged; once it has begun, `status.json` holds the cause.
    """
    # Before anything is written: an invalid setting must not create a run folder.
    components = Components.of(experiment, execution)
    interrupt = interrupt or Interrupt()
    with recording(experiment, execution, observer or Observer(), interrupt) as record:
        if record.result is not None:
            return record.result
        set_up_arithmetic(components.device, execution.compiled_layers)
        run = assemble(components, experiment, load(experiment, components.device))
        resumed = record.restore(run.net, components.device)
        record.begin(run.rounds, resumed)
        for current in run.rounds[len(record.rounds) :]:
            context = run.context(current)
            if resumed is None:
                hooks = begin_round(components.method, run.net, context)
            else:
                hooks = components.method.hooks(run.net, context)
            ended, optimizer = train_round(
                run.net,
                run.task.of_round(current),
                current,
                experiment.trainer,
                seed=experiment.seed,
                precision=experiment.precision,
                compile=execution.compile,
                frozen=components.method.frozen(run.net, context) | run.fixed,
                hooks=hooks,
                resume=resumed,
                carried=record.optimizer,
                total_step=record.total_step,
                callbacks=Callbacks(
                    observer=record.observer,
                    interrupt=interrupt,
                    save=partial(record.save, run.net),
                    epoch_ended=record.epoch_ended,
                ),
            )
            warn_at_chance(ended, run.task.num_classes)
            measured: dict[str, float | None] = {"stage": current.stage} if run.task.stages else {}
            if execution.diagnostics:
                measured |= run.measured(current)
            record.round_ended(ended, optimizer, len(run.rounds), measured)
            resumed = None
        # The result is taken before the diagnostics are measured: they are no part of it.
        last_task = run.task.of_round(run.rounds[-1])
        result = run_result(record, run.net, last_task, components.device)
        if execution.diagnostics:
            write_diagnostics(record.folder, run.net, last_task, experiment.seed)
        return record.finish(result)


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
    fixed: frozenset[str]
    """The parameters that the network's own class has frozen."""

    def context(self, current: Round) -> Context:
        """What the method may know at the start of this round."""
        task = self.task.of_round(current)
        return Context(
            round=current,
            seed=self.experiment.seed,
            initializer=self.components.initializer,
            initial=self._initial,
            initial_norms=self.initial_norms,
            examples=lambda count: task.sample(count, stream(self.experiment.seed, "sample")),
            batches=partial(task.batches, "train"),
            micro_batch=self.experiment.trainer.micro_batch,
            fixed=self.fixed,
        )

    def measured(self, ended: Round) -> dict[str, float | None]:
        """What diagnostics say of the network after this round."""
        return after_round(self.net, self.task.of_round(ended), self.experiment.seed, self._initial())

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
    of_a_stage = method.rounds(net.num_blocks, method.repeats, experiment.trainer.max_steps)
    rounds = tuple(
        replace(current, index=current.index + stage * len(of_a_stage), stage=stage + 1)
        for stage in range(max(1, len(task.stages)))
        for current in of_a_stage
    )
    if len(task.growth) > len(rounds):
        raise ConfigError(
            f"dataset.growth has {len(task.growth)} shares, but {experiment.method['name']} has {len(rounds)} "
            f"round{'s' if len(rounds) > 1 else ''}; the baseline on growing data is method=restart"
        )
    pretrained = {name: parameters[name].detach().clone() for name in net.pretrained}
    fixed = frozenset(name for name, value in parameters.items() if not value.requires_grad)
    return Assembly(experiment, components, task, net, norms, rounds, pretrained, fixed)


def build_network(components: Components, experiment: Experiment, task: Task) -> BlockNet:
    """The experiment's network, initialized from its seed, on the task's device; channels last for images.

    Parameters that came with values keep them.
    """
    rate = float(experiment.dropout["rate"])
    build = partial(components.architecture.build, task.input_shape, task.num_classes, rate)
    net = build()
    net.rebuild = build
    initialize(net, components.initializer, experiment.seed, "initialize", kept=net.pretrained)
    if len(task.input_shape) == 3:
        net = net.to(memory_format=torch.channels_last)
    return net.to(task.device)
