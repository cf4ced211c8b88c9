"""The site builds strictly, loads nothing from the network, and says what the code says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from factories import tiny_experiment
from written import DOCS, PAGES, REPOSITORY, place

import reinit_bench
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Execution
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training.interrupt import EXIT_INTERRUPTED

LINK = re.compile(r"\]\(([^)#\s]+)?(#[\w-]+)?\)")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Loaded(HTMLParser):
    """The addresses of what a page loads when it is opened: scripts, styles, pictures, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(values.get("href") or "")
        elif tag != "a":
            self.addresses.append(values.get("src") or "")


@pytest.mark.slow
def test_nothing_is_loaded_from_the_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    loaded = set()
    for page in pages:
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        loaded |= set(parser.addresses)
    assert any(address.endswith(".css") for address in loaded)
    assert [address for address in loaded if re.match(r"(\w+:)?//", address)] == []
    styles = [path for path in site.rglob("*.css") if re.search(r"url\([\"']?(https?:)?//", path.read_text())]
    assert styles == []


@pytest.mark.slow
def test_pages_and_the_search_open_from_the_disk(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="tutorials/first-table.html"' in home
    assert (site / "search" / "search_index.js").is_file()
    assert "assets/iframe-worker.js" in home


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_links_in_the_repository_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    generated = {path.stem for path in conf_dir().iterdir()} | {"commands", "make", "run", "launcher", "studies"}
    for target, anchor in LINK.findall(text):
        if target.startswith(("http:", "https:")):
            continue
        path = (page.parent / target).resolve() if target else page
        if path.parent == DOCS / "reference" and path.stem in generated:
            continue  # made with the site, which checks these links
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, anchor


def test_the_readme_is_a_door() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_store_page_names_everything_that_a_run_leaves(tmp_path: Path) -> None:
    experiment = tiny_experiment("trainer.max_steps=4")
    run_experiment(experiment, Execution(results_dir=tmp_path))
    folder = tmp_path / "runs" / experiment.run_id
    page = (DOCS / "reference" / "store.md").read_text(encoding="utf-8")
    names = {path.name for path in folder.iterdir() if path.name != ".lock"}
    for name in ("result.json", "status.json"):
        names |= set(json.loads((folder / name).read_text()))
    for name in ("rounds.jsonl", "history.jsonl"):
        columns = json.loads((folder / name).read_text().splitlines()[0])
        # Of plasticity the page has the quantities, which each kernel may have too.
        names |= {column.split(".")[1] if column.startswith("plasticity.") else column for column in columns}
    names |= set(np.load(folder / "diagnostics.npz").files)
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_exit_codes_and_variables_are_those_of_the_code() -> None:
    page = (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    assert f"\n| {EXIT_INTERRUPTED} |" in page
    sources = [path.read_text() for path in Path(reinit_bench.__file__).parent.rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"(REINIT_BENCH_\w+)"', text)}
    assert len(read) >= 3
    assert sorted(name for name in read if f"`{name}`" not in page) == []


def test_every_package_is_described() -> None:
    folders = {path.parent.name for path in Path(reinit_bench.__file__).parent.glob("*/__init__.py")}
    page = (DOCS / "explanation" / "code.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == folders
