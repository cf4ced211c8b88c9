"""Which runs belong to the synthetic study: those at the settings of `study=table1`, but for what a table varies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs.distance import without_difference
from reinit_bench.analysis.runs.lw_variants import SWITCHES

SETTINGS: Mapping[str, Any] = {
    "model": "mlp",
    "model.hidden": "[32, 32]",
    "width": 1.0,
    "initializer": "xavier_uniform",
    "train_examples": 256,
    "dataset.features": 128,
    "dropout_rate": 0.0,
    "precision": "fp32",
    "trainer.lr": 0.05,
    "trainer.momentum": 0.0,
    "trainer.weight_decay": 0.0,
    "trainer.batch_size": 256,
    "trainer.max_steps": 200,
    "trainer.validation_fraction": 0.0,
    "method.repeats": 3,
    "method.fraction": 0.2,
    "method.scope": "kernels",
    "method.selection": "tensor",
    "method.fill": "initializer",
    "method.extent": "dense",
    "method.layerwise": False,
    **SWITCHES,
    "method.lambda_on_head": False,
    "method.first_round": "layerwise",
    "method.clear_lambdas_above": False,
    "method.schedule": None,
}
"""Columns of a collection and their values in the runs of `study=table1`; None where a run has no such setting."""


def synthetic_runs(frame: pd.DataFrame, settings: Mapping[str, Any] = SETTINGS) -> pd.DataFrame:
    """The runs on synthetic data that differ in none of these settings."""
    return without_difference(frame[frame["dataset"] == "synthetic"], settings)
