"""The report's content and its HTML: exact pieces, escaping, well-formedness, and what an empty store says."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake_grid
from fake_store import TunedStore

from reinit_bench.analysis.figures import KnownFigure, NothingToDraw
from reinit_bench.analysis.frame.collect import Collection, collect
from reinit_bench.analysis.report.page import Page, Progress, Trouble, build_page, html
from reinit_bench.analysis.report.paper_claim import FEWEST, paper_claim
from reinit_bench.analysis.tables.render.html import long_table

VOID = {"meta", "link", "img", "br", "input"}
HOSTILE = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Notes what is opened and closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" and not dict(attrs).get("alt"):
            self.wrong.append("an image without words")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def page_of(results_dir: Path, **more: Any) -> Page:
    return build_page(collect(results_dir), draw=lambda collection: (), **more)


def embedded(text: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def fill(fake_store: Any) -> None:
    fake_store.seeds("cifar10", "scnn", "bl", (0.50, 0.52))
    fake_store.seeds("cifar10", "scnn", "lw", (0.53, 0.55))
    fake_store.add("oxford_iiit", "scnn", "bl", 0.1, augmentation__name="none", initializer__name="xavier_uniform")


def test_an_empty_store_makes_a_whole_page_that_says_what_to_type(tmp_path: Path) -> None:
    text = html(page_of(tmp_path))
    reader = Reader(text)
    assert (reader.wrong, reader.open) == ([], [])
    assert "Nothing can be concluded: no run has finished" in text
    assert "<code>reinit-bench -m study=digits</code>" in text
    assert embedded(text, "data")["runs"]["rows"] == []


def test_results_stand_next_to_the_published_values(fake_store: Any) -> None:
    fill(fake_store)
    page = page_of(fake_store.results_dir)
    assert list(page.results.data) == [
        *("Dataset", "Model", "Settings", "Condition", "Initializer", "Method"),
        *("n", "Mean [%]", "SD", "Published", "Difference"),
    ]
    mild = ("CIFAR10", "scnn", "", "mild augmentation", "he_normal")
    assert [tuple(row) for row in long_table(page.results)["rows"]] == [
        ("OXFORD-IIIT", "scnn", "", "no augmentation", "xavier_uniform", "BL", 1, 10.0, None, None, None),
        (*mild, "BL", 2, 51.0, 1.4142, 82.7, -31.7),
        (*mild, "LW", 2, 54.0, 1.4142, 84.3, -30.3),
    ]
    assert page.filters["condition"] == ["no augmentation", "mild augmentation"]


def test_a_run_has_its_row_and_its_curve(fake_store: Any) -> None:
    fill(fake_store)
    torn = fake_store.add("digits", "scnn", "dsd", 0.8, trainer__lr=0.003)
    folder = fake_store.add("digits", "scnn", "dsd", 0.9, git_commit="b" * 40, trainer__lr=0.5).parent
    (folder / "history.jsonl").write_text('{"total_step": 7, "train_accuracy": 0.5, "validation_accuracy": null}\n')
    (folder / "rounds.jsonl").write_text('{"steps": 7, "test_accuracy": 0.9}\n')
    (torn.parent / "history.jsonl").write_text("{torn")
    with pytest.warns(UserWarning, match=r"history\.jsonl cannot be read: not JSON"):
        text = html(page_of(fake_store.results_dir))
    (row,) = (row for row in embedded(text, "data")["runs"]["rows"] if row[0] == folder.name)
    condition = ["mild augmentation", "he_normal"]
    assert row[:7] == [folder.name, "DIGITS", "scnn", "trainer.lr=0.5", *condition, "DSD"]
    assert row[7:] == [0, 90.0, 400, 1.5, None, "cpu", "b" * 10, "digits scnn dsd mild seed 0"]
    assert embedded(text, "curves") == {folder.name: {"x": [7], "t": [500], "v": [None], "r": [[7, 900]]}}


def test_names_are_escaped_wherever_they_stand(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5, dataset___label_=HOSTILE)
    trouble = Trouble(run_id="0" * 16, title=HOSTILE, state="failed", cause=f"{HOSTILE}&")
    study = Progress(study=HOSTILE, about="", counts={"done": 1, "missing": 2})
    text = html(page_of(fake_store.results_dir, troubles=[trouble], studies=[study]))
    assert HOSTILE not in text
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;&amp;</td>" in text
    assert embedded(text, "data")["runs"]["rows"][0][1] == HOSTILE
    assert (Reader(text).wrong, Reader(text).open) == ([], [])


def test_what_is_missing_is_said(fake_store: Any) -> None:
    fill(fake_store)
    study = Progress(study="table2", about="Table 2", counts={"done": 3, "failed": 1, "missing": 284})
    other = Progress(study="table1", about="Other data", counts={"done": 0, "missing": 0})
    trouble = Trouble(run_id="f" * 16, title="cifar10 scnn fc seed 0", state="failed", cause="ValueError: no")
    text = html(page_of(fake_store.results_dir, studies=[study, other], troubles=[trouble]))
    row = '<tr class="unbegun"><th scope="row">table1</th><td class="number">0</td><td class="number"></td>'
    assert f'{row}<td class="bar"></td><td></td><td>Other data</td>' in text
    assert "study=table1   #" not in text
    assert "<td>1 failed, 284 missing</td>" in text
    assert "reinit-bench -m study=table2   # 3 of 288 runs are there" in text
    assert '<tr class="failed"><td>failed</td>' in text
    assert "<td>ValueError: no</td>" in text


def test_a_verdict_needs_as_many_settings_as_the_test_does_and_more_than_chance() -> None:
    few = paper_claim(fake_grid(["A"], ["scnn"], {"bl": 50.0, "lw": 50.0}))
    assert (few.first, few.command) == ("open", "reinit-bench -m study=digits")
    assert FEWEST == 6
    whole = paper_claim(fake_grid(["A", "B"], ["scnn"], {"bl": 50.0, "fc": 50.0, "lw": 52.0}))
    assert (whole.first, whole.second, whole.command) == ("agrees", "agrees", None)
    assert whole.sentence == (
        "LW beats BL in 12 of 12 settings and loses in 0 (mean difference +2.0 ± 0.0 points, 95% interval over 2 "
        "datasets; exact binomial test p = 0.00049): that LW is ahead of the baseline holds in these runs; and it is "
        "the most often best (best of 3 methods, alone or tied, in 12 settings with all of them: LW 12, BL 0, FC 0; LW "
        "to BL: p = 0.00049)."
    )
    assert whole.caveats[0].startswith("all settings are of 2 datasets (A, B); the paper has 12")
    against = paper_claim(fake_grid(["A"], ["scnn"], {"bl": 50.0, "fc": 50.0, "lw": 48.0}))
    assert (against.first, against.second) == ("disagrees", "disagrees")
    assert "does not hold in these runs: BL is; it is not the most often best" in against.sentence
    lead = paper_claim(fake_grid(["A", "B"], ["scnn"], {"bl": 50.0, "fc": 52.0, "lw": [*[53.0] * 4, *[51.0] * 2]}))
    assert (lead.first, lead.second) == ("agrees", "open")
    assert "LW 8, FC 4, BL 0; LW's lead or lag to FC may be chance, p = 0.39" in lead.sentence


def test_what_tuned_studies_say_stands_first(fake_store: Any, tuned: TunedStore) -> None:
    assert "Does resetting help?" not in html(page_of(fake_store.results_dir))
    tuned.arms({"bl": [0.60, 0.61, 0.62], "lw": [0.62, 0.63, 0.64]})
    page = page_of(fake_store.results_dir)
    assert [claim.verdict for claim in page.claims] == ["shown", "cannot be told", "shown", *["cannot be told"] * 3]
    assert page.claim.caveats[0].startswith("arms of tuned studies have each their own learning rate")
    text = html(page)
    first = '<p class="verdict agrees"><b>shown:</b> LW is better than training once on small sets'
    assert text.index(first) < text.index("The paper's claim over its settings")
    assert "in points: +2.00 (95% t-interval +2.00 to +2.00), n = 3 in 1 setting.</p>" in text
    assert text.index('id="verdict-settings"') < text.index('id="table6"')
    assert Reader(text).wrong == []


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NothingToDraw("no runs; reinit-bench -m study=demo"), "no runs; reinit-bench -m study=demo"),
        (ZeroDivisionError("by nothing"), "figure2: ZeroDivisionError: by nothing"),
    ],
)
def test_a_figure_that_cannot_be_drawn_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def draw(collection: Collection) -> Any:
        raise error

    known = KnownFigure(draw, caption="A figure.", from_paper=False)
    monkeypatch.setattr("reinit_bench.analysis.report.page.known_figures", lambda: {"figure2": known})
    text = html(build_page(collect(tmp_path)))
    assert f"Not drawn: {why}" in text
    assert "<code>reinit-bench figures figure2</code>" in text
