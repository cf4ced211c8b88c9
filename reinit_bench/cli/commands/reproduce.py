"""Train some runs of a bundle again, and say whether the same comes out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reinit_bench.cli.commands._shared import split_results_dir
from reinit_bench.core.settings import SOURCE, ConfigError

if TYPE_CHECKING:
    from reinit_bench.core.config import Experiment
    from reinit_bench.store.reader import StoredRun
    from reinit_bench.store.store import Store

Words = Annotated[
    list[str] | None, typer.Argument(metavar="FILE [results_dir=DIR]", help="A bundle; where the runs are trained")
]
Runs = Annotated[int, typer.Option("--runs", min=1, help="How many of its finished runs.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the draw: the same seed draws the same runs.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads, which decide the last bits; else as the run had, or 1."),
]

WORDS = {"bits": "the same", "rounding": "the same within rounding of another machine", "other": "NOT the same"}


def command(words: Words = None, runs: Runs = 3, seed: Seed = 0, threads: Threads = None) -> int:
    """Draw finished runs of a bundle and train them here; exit with 1 if one comes out otherwise, or cannot run here.

    What is trained lies in RESULTS_DIR/reproduced/, so that the same command goes on where it was stopped.
    """
    from reinit_bench.store.bundle import unpacked
    from reinit_bench.store.reader import read
    from reinit_bench.store.store import Store

    results_dir, files = split_results_dir(words)
    if len(files) != 1:
        raise ConfigError(f"reproduce accepts one FILE and results_dir=DIR; got {' '.join(files) or 'no FILE'}")
    missed = 0
    with unpacked(Path(files[0])) as bundle:
        done = sorted(read(bundle, only_done=True).done, key=lambda run: run.run_id)
        if not done:
            raise ConfigError(f"{files[0]} holds no finished run")
        drawn = random.Random(seed).sample(done, min(runs, len(done)))
        print(f"{len(drawn)} of {len(done)} runs, drawn with seed {seed}")
        for run in drawn:
            try:
                kind, found = _again(run, bundle, Store(results_dir / "reproduced"), threads)
            except ConfigError as error:
                kind, found = "refused", str(error)
            missed += kind not in ("bits", "rounding")
            print(f"{run.run_id}  {run.experiment.title}: {WORDS.get(kind, 'cannot run here')}: {found}")
    return 1 if missed else 0


def _again(run: StoredRun, bundle: Store, store: Store, threads: int | None) -> tuple[str, str]:
    """Train a run again, unless that is done; what comes of comparing the two.

    Raises:
        ConfigError: it cannot run here: code of others, data that are not prepared, a device that is not there.
    """
    from reinit_bench.core.config import Execution
    from reinit_bench.run.reproduction import compared

    _check_code(run.experiment)
    assert run.result is not None
    given: dict[str, Any] = {"device": "cpu"} if run.result.get("device") == "cpu" else {}
    execution = Execution(
        results_dir=store.results_dir,
        compiled_layers=bool(run.result.get("compiled_layers")),
        diagnostics=False,
        **given,
    )
    result = _train(run.experiment, execution, threads or run.result.get("threads") or 1)
    curves = [place.run(run.run_id).rows("history.jsonl") for place in (bundle, store)]
    found = compared(run.result, curves[0], result, curves[1])
    return found.kind, found.words


def _check_code(experiment: Experiment) -> None:
    """Raise ConfigError if a section names a class outside this package: a bundle's code is not run."""
    for name, section in experiment.to_dict().items():
        target = section.get("_target_") if isinstance(section, dict) else None
        if target is not None and (not str(target).startswith("reinit_bench.") or SOURCE in section):
            raise ConfigError(f"its {name} is {target}, code that is not reinit-bench's")


def _train(experiment: Experiment, execution: Any, threads: int) -> dict[str, Any]:
    import torch

    from reinit_bench.reporting.console import RunConsole
    from reinit_bench.run.experiment import run_experiment
    from reinit_bench.training.interrupt import interrupt_on_signals

    display = RunConsole()
    torch.set_num_threads(threads)
    try:
        with interrupt_on_signals() as interrupt:
            return run_experiment(experiment, execution, observer=display, interrupt=interrupt)
    finally:
        display.close()
