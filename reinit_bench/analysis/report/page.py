"""What the report page says before it is HTML: plain values, so that the template only writes them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reinit_bench.analysis.stats.claims import Claim
from reinit_bench.analysis.stats.significance import Pair
from reinit_bench.analysis.stats.summary import Estimate
from reinit_bench.analysis.tables.table import Table

Standing = Literal["agrees", "disagrees", "open"]
"""What the runs say of the paper's claim; `open`: nothing can be concluded."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """LW against the baseline over the settings of one architecture.

    Attributes:
        where: the architecture, or `all`.
        test: whether LW outperforms the baseline.
        gain: mean difference in percentage points.
        best: in how many of the settings with all methods LW is the best, as text.
    """

    where: str
    test: Pair
    gain: Estimate
    best: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The paper's claim and what the runs say of it.

    Attributes:
        claim: in our words.
        sentence: what the runs say, with the numbers.
        first: of "LW is ahead of the baseline".
        second: of "LW is most often the best".
        contests: over all architectures, then one by one.
        caveats: what a reader must know before leaning on it.
        command: what makes more runs; None where enough have finished.
    """

    claim: str
    sentence: str
    first: Standing
    second: Standing
    contests: Sequence[Contest]
    caveats: Sequence[str]
    command: str | None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure, or why there is none.

    Attributes:
        name: of its files.
        caption: what it shows.
        png: the picture in base64; None where it cannot be drawn.
        missing: why it cannot be drawn and what to type; empty where it can.
    """

    name: str
    caption: str
    png: str | None
    missing: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How much of a study is there.

    Attributes:
        study: its name.
        about: the first line of its file.
        counts: distinct runs by state.
    """

    study: str
    about: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many distinct runs it has; 0: it is about other datasets, and they were not counted."""
        return sum(self.counts.values())

    @property
    def begun(self) -> bool:
        """Whether the results folder holds anything of it."""
        return self.counts.get("missing", 0) < self.total


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A run that has begun and not finished: its id, its title, its state, and the last line of its error."""

    run_id: str
    title: str
    state: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """Runs that were made by the same code on the same kind of device."""

    software: str
    commit: str
    device: str
    runs: int
    hours: float


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the report says."""

    results_dir: str
    runs: int
    verdict: Verdict
    claims: Sequence[Claim]
    """What is claimed of resetting, and what tuned studies say of it; none where no tuned study has runs."""
    tuned: Mapping[str, Table]
    """The tables of tuned studies, by the name that users type; none where no tuned study has runs."""
    filters: Mapping[str, Sequence[str]]
    """What can be chosen in each filter: datasets, models, conditions."""
    tables: Mapping[str, Table]
    """The paper's tables, by the name that users type."""
    results: Table
    pictures: Sequence[Picture]
    each_run: Table
    curves: Mapping[str, Any]
    """By run id: `x` (steps), `t` and `v` (training and validation accuracy), `r` (the ends of rounds and the test
    accuracy there); accuracies in thousandths."""
    studies: Sequence[Progress]
    troubles: Sequence[Trouble]
    corrupt: Sequence[str]
    code: Sequence[Code]
    looks: Mapping[str, str]
    """Colours by name, as the figures have them."""
