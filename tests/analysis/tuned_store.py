"""A fake store with the runs of a tuned study: trials that choose a learning rate, then fresh seeds at that rate."""

from __future__ import annotations

from typing import Any

from fake_store import FakeStore

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.arms import TunedRuns, tuned_runs

TRIAL_SEED = 100
RATES = (0.003, 0.01, 0.03)


class TunedStore:
    """Fills a fake store as study=verdict does: three trials with seed 100, then seeds at one rate."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store

    def arm(
        self, method: str, accuracies: list[float], *, validation: tuple[float, ...] = (0.5, 0.7, 0.6), **changes: Any
    ) -> None:
        settings = {"dataset__train_examples": 1000, "augmentation__name": "none", "model__norm": "group", **changes}
        decay = {"trainer__weight_decay": 0.0}
        for rate, value in zip(RATES, validation, strict=True):
            trial = {"seed": TRIAL_SEED, "trainer__lr": rate, "validation": value}
            self.store.add("digits", "scnn", method, value + 0.1, study="verdict", **trial, **settings, **decay)
        best = RATES[validation.index(max(validation))]
        for seed, accuracy in enumerate(accuracies):
            run = {"seed": seed, "trainer__lr": best, "validation": 0.5}
            self.store.add("digits", "scnn", method, accuracy, study="verdict", **run, **settings, **decay)

    def runs(self) -> TunedRuns:
        return tuned_runs(collect(self.store.results_dir))
