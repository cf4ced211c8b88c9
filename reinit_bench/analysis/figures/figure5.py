"""Figure 5: how training accuracy and loss change when the parameters are perturbed by Gaussian noise, one dataset."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures.grid import curves, one_dataset
from reinit_bench.analysis.figures.measured import measured_panels
from reinit_bench.analysis.figures.style import styled
from reinit_bench.analysis.panels import Panel, of_one_dataset
from reinit_bench.analysis.per_run import diagnostics_of

NEEDED = tuple(f"sharpness.{name}" for name in ("sigma", "accuracy", "loss", "accuracy_without", "loss_without"))
HEADING = "Sharpness"
XLABEL = "σ of the noise N(0, σ²I) added to all parameters; lower curves: flatter minima"
LOST, GAINED = "accuracy_lost", "loss_gained"


@styled
def draw(collection: Collection) -> Figure:
    """A panel per architecture: training accuracy lost (top) and training loss gained (bottom) by sigma.

    Raises:
        NothingToDraw: no finished run has its sharpness measured.
    """
    found = of_one_dataset(measured(collection, "figure5"))
    rows = [("accuracy lost [points]", accuracy_cell), ("loss gained", loss_cell)]
    return one_dataset(found, sharpness(collection, found), rows, heading=HEADING, xlabel=XLABEL)


def measured(collection: Collection, figure: str) -> list[Panel]:
    """The panels of runs whose sharpness was measured.

    Raises:
        NothingToDraw: there is none.
    """
    return measured_panels(collection, figure, "sharpness", NEEDED)


def sharpness(collection: Collection, found: Sequence[Panel]) -> pd.DataFrame:
    """A row for each dataset, model, method and sigma: n seeds, and means over seeds and draws of the noise.

    `accuracy_lost` in percentage points and `loss_gained` say what the noise does to training accuracy and loss; a
    change for the better is negative.
    """
    records = [
        (panel.dataset, panel.model, run.method, run.method_label, *point)
        for panel in found
        for run in panel.runs.itertuples()
        for point in _points(collection, str(run.run_id))
    ]
    keys = ["dataset", "model", "method", "method_label", "sigma"]
    groups = pd.DataFrame(records, columns=[*keys, LOST, GAINED]).groupby(keys, sort=False)
    return groups.agg(n=(LOST, "size"), **{name: (name, "mean") for name in (LOST, GAINED)}).reset_index()


def accuracy_cell(axes: Axes, rows: pd.DataFrame) -> None:
    """Accuracy lost over a logarithmic axis of sigmas."""
    axes.set_xscale("log")
    curves(axes, rows, "sigma", LOST)


def loss_cell(axes: Axes, rows: pd.DataFrame) -> None:
    """Loss gained; it may grow by a thousandth or a hundredfold, so that the axis is logarithmic but near zero."""
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.01)
    curves(axes, rows, "sigma", GAINED)


def _points(collection: Collection, run_id: str) -> list[tuple[float, float, float]]:
    found = diagnostics_of(collection, run_id)
    sigma, accuracy, loss, accuracy_without, loss_without = (found[name] for name in NEEDED)
    lost = 100 * (accuracy_without - accuracy.mean(axis=0))
    gained = loss.mean(axis=0) - loss_without
    return [(float(s), float(a), float(b)) for s, a, b in zip(sigma, lost, gained, strict=True)]
