"""One experiment from configuration to result; reads like Algorithm 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import Task, load_task
from reinit_bench.diagnostics import write_diagnostics
from reinit_bench.methods.base import begin_round
from reinit_bench.run.components import Components, assemble
from reinit_bench.run.life import life_of
from reinit_bench.run.result import run_result, warn_at_chance
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.loop import Callbacks, train_round
from reinit_bench.training.observer import Observer

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
    carries = experiment.trainer.optimizer_between_rounds == "carry"
    interrupt = interrupt or Interrupt()
    with life_of(experiment, execution, observer, interrupt) as life:
        if life.result is not None:
            return life.result
        recorder = life.recorder
        set_up_arithmetic(components.device)
        run = assemble(components, experiment, load(experiment, components.device))
        resumed = recorder.restore(run.net, components.device)
        callbacks = Callbacks(
            observer=life.observer,
            interrupt=interrupt,
            save=partial(life.save, run.net),
            epoch_ended=recorder.epoch_ended,
        )
        life.begin(run.rounds, resumed)
        for current in run.rounds[len(recorder.rounds) :]:
            context = run.context(current)
            if resumed is None:
                hooks = begin_round(components.method, run.net, context)
            else:
                hooks = components.method.hooks(run.net, context)
            ended, optimizer = train_round(
                run.net,
                run.task.of_round(current.index),
                current,
                experiment.trainer,
                seed=experiment.seed,
                precision=experiment.precision,
                compile=execution.compile,
                frozen=components.method.frozen(run.net, context),
                hooks=hooks,
                resume=resumed,
                carried=recorder.optimizer,
                total_step=recorder.total_step,
                callbacks=callbacks,
            )
            warn_at_chance(ended, run.task.num_classes)
            life.round_ended(ended, optimizer if carries else None, len(run.rounds))
            resumed = None
        # The result is taken before the diagnostics are measured: they are no part of it.
        result = run_result(run, execution, recorder.rounds, attempts=life.lease.attempt, seconds=recorder.seconds)
        if execution.diagnostics:
            write_diagnostics(life.folder, run.net, run.task.of_round(len(run.rounds)), experiment.seed)
        return life.finish(result)
