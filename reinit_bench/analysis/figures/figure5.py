"""Figure 5: how training accuracy and loss change when the parameters are perturbed by Gaussian noise, one dataset."""

from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures.panels import PanelGrid, averages, draw_curves, measured_runs
from reinit_bench.analysis.figures.style import plain_ticks
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.measurements import diagnostics_of

NEEDED = tuple(f"sharpness.{name}" for name in ("sigma", "accuracy", "loss", "accuracy_without", "loss_without"))


def draw(collection: Collection) -> Figure:
    """A panel per architecture: training accuracy lost (top) and training loss gained (bottom) by sigma."""
    return GRID.one_dataset(collection, "figure5")


def every_dataset(collection: Collection) -> Figure:
    """Figure 12, the full version of Figure 5: change in training accuracy under Gaussian noise, every dataset."""
    return GRID.every_dataset(collection, "figure12", "points lost", _accuracy_cell)


VARIANTS = {"figure12": every_dataset}


def sharpness(collection: Collection, runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset, model, method and sigma: n seeds, and means over seeds and draws of the noise.

    `accuracy_lost` in percentage points and `loss_gained` say what the noise does to training accuracy and loss; a
    change for the better is negative.
    """

    def points_of(run_id: str) -> pd.DataFrame:
        measured = diagnostics_of(collection, run_id)
        sigma, accuracy, loss, accuracy_without, loss_without = (measured[name] for name in NEEDED)
        lost = 100 * (accuracy_without - accuracy.mean(axis=0))
        return pd.DataFrame({"sigma": sigma, "accuracy_lost": lost, "loss_gained": loss.mean(axis=0) - loss_without})

    return averages(runs, points_of, ["sigma"])


def _accuracy_cell(axes: Axes, rows: pd.DataFrame) -> None:
    """Accuracy lost over a logarithmic axis of sigmas."""
    axes.set_xscale("log")
    plain_ticks(axes.xaxis)
    draw_curves(axes, rows, "sigma", "accuracy_lost")


def _loss_cell(axes: Axes, rows: pd.DataFrame) -> None:
    """Loss gained; it may grow by a thousandth or a hundredfold, so that the axis is logarithmic but near zero."""
    axes.set_xscale("log")
    plain_ticks(axes.xaxis)
    axes.set_yscale("symlog", linthresh=0.01)
    plain_ticks(axes.yaxis, linear_below=0.01)
    draw_curves(axes, rows, "sigma", "loss_gained")


GRID = PanelGrid(
    runs=partial(measured_runs, what="sharpness", needed=NEEDED),
    data=sharpness,
    rows={"accuracy lost [points]": _accuracy_cell, "loss gained": _loss_cell},
    heading="Sharpness",
    xlabel="σ of the noise N(0, σ²I) added to all parameters; lower curves: flatter minima",
)
