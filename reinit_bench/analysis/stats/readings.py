"""Readings of the paper: which settings answer what it leaves open, and which of them a run has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.labels import assignments
from reinit_bench.analysis.frame.settings import PAPER, as_dicts, different

SHARED: Mapping[str, Any] = {
    "trainer.optimizer_between_rounds": "fresh",
    "trainer.round_weights": "best",
    "trainer.weight_decay_form": "l2",
    "initializer.truncated": True,
    "initializer.depthwise_fan_in": PAPER["initializer.depthwise_fan_in"],
    "model.norm_epsilon": 1e-3,
    "model.version": 1,
    "model.grouping": PAPER["model.grouping"],
    "model.padding": PAPER["model.padding"],
    "model.conv_bias": PAPER["model.conv_bias"],
    "augmentation.enlarge_from": PAPER["augmentation.enlarge_from"],
}
"""Those that are no method's own, by column, with their defaults (docs/explanation/protocol.md)."""

OWN = (
    "method.scope",
    "method.selection",
    "method.fill",
    "method.extent",
    "method.layerwise",
    "method.first_round",
    "method.rescale_unit",
    "method.rescale_scope",
    "method.sample_examples",
    "method.lambda_on_head",
    "method.clear_lambdas_above",
)
"""Those of methods; the defaults are in the methods' option files."""

READINGS = (*SHARED, *OWN)
"""All of them, in the order of tables."""


def readings(runs: pd.DataFrame) -> pd.Series:
    """Each row's reading as typed: `model.padding=same`; empty text at the defaults, None where several are changed."""
    found = [
        assignments(run, [*different(run, SHARED), *(column for column in own if column in OWN)])
        for run, own in zip(as_dicts(runs), runs["changed"], strict=True)
    ]
    words = [None if len(changed) > 1 else "".join(changed) for changed in found]
    return pd.Series(words, index=runs.index, dtype=object)
