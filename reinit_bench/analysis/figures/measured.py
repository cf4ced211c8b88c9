"""The panels of runs that have a diagnostic, for the figures that show one."""

from __future__ import annotations

from collections.abc import Sequence

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.panels import Panel, panels, plain_runs
from reinit_bench.analysis.per_run import having


def measured_panels(collection: Collection, figure: str, what: str, needed: Sequence[str]) -> list[Panel]:
    """The panels of runs whose diagnostics hold all names in `needed`.

    Raises:
        NothingToDraw: there is none; the line says whether finished runs were left without `what`.
    """
    runs = plain_runs(collection)
    known = having(collection, runs, *needed)
    if known.empty:
        unmeasured = f" ({len(runs)} finished without diagnostics)" if len(runs) else ""
        raise NothingToDraw(
            f"{figure}: no finished run in {collection.results_dir} has its {what} measured{unmeasured}; "
            "reinit-bench -m study=table2 dataset=oxford_iiit_pet, or study=digits"
        )
    return panels(collection, known)
