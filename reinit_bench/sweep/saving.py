"""What a sweep saves because runs of it share their first rounds, told from the configurations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reinit_bench.config import Experiment
from reinit_bench.sharing import family_of, round_limit
from reinit_bench.sweep.cost import CPU, GPU, Rates, cost_of, first_round_steps, hours_line, modelled_steps
from reinit_bench.sweep.packs import packs_of
from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.waiting import shares


@dataclass(frozen=True)
class Saving:
    """What need not be trained, if each first round is trained before the runs that take it begin.

    Only what is sure: later rounds and variants of a method may share more, and where rounds converge, larger budgets
    take them whole.

    Attributes:
        rounds: first rounds that are taken whole from another run.
        begun: first rounds that go on from where another run's smaller budget ended.
        hours: of one GPU, or of one process on a CPU; a part of the cost that `cost_of` says.
    """

    rounds: int
    begun: int
    hours: Mapping[str, float]


def saving_of(runs: Iterable[PlannedRun], rates: Rates) -> Saving:
    """What these runs save in one sweep that shares rounds."""
    families: dict[tuple[str, str], list[PlannedRun]] = defaultdict(list)
    for pack in packs_of(runs):
        if shares(pack):
            families[family_of(pack[0].experiment)].append(pack[0])
    rounds = begun = 0
    hours: defaultdict[str, float] = defaultdict(float)
    for family in families.values():
        trained = 0
        for run in sorted(family, key=lambda run: round_limit(run.experiment)):
            limit = round_limit(run.experiment)
            rounds += limit == trained
            begun += 0 < trained < limit
            cost = cost_of([(run.experiment, str(run.config.get("device", "auto")))], rates)
            for on, of_all in cost.hours.items():
                hours[on] += of_all * _share(run.experiment, trained)
            trained = limit
    return Saving(rounds, begun, {on: hours[on] for on in (GPU, CPU) if hours[on]})


def saving_line(saving: Saving) -> str:
    """`of these about 5 GPU-hours need not be trained, ...`; empty where nothing is shared."""
    if not saving.rounds + saving.begun:
        return ""
    return (
        f"of these about {hours_line(saving.hours)} need not be trained, since runs share rounds: "
        f"{saving.rounds:,} first rounds whole, {saving.begun:,} in part"
    )


def _share(experiment: Experiment, steps: int) -> float:
    """What part of a run the first `steps` steps of its first round are, by the model of `cost`."""
    return first_round_steps(experiment, steps) / modelled_steps(experiment)
