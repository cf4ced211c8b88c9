"""Nothing stored can stop a command: any one file odd (bytes, kinds, ranges, names), through every command.

ODD_STORES=500 python -m pytest tests/store/test_odd_stores.py      for more than `make test` has time for
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import tiny_experiment
from finished_runs import finish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reinit_bench.cli.main import main
from reinit_bench.core.config import Experiment
from reinit_bench.store.checks import BELONGING, CONFIG, RESULT
from reinit_bench.store.files import file_sha256
from reinit_bench.store.store import STATUS, Store

EXAMPLES = int(os.environ.get("ODD_STORES", "3"))
FINISHED = [tiny_experiment(f"method={method}", f"seed={seed}") for method in ("bl", "lw", "wels") for seed in (0, 1)]
STATUSES: list[dict[str, Any]] = [
    {"state": "interrupted", "attempt": 2, "error": None, "host": "here"},
    {"state": "failed", "attempt": 1, "error": "Traceback\nValueError: x", "error_kind": "ValueError", "host": "here"},
    {"state": "running", "attempt": 1, "pid": 1, "host": "away", "boot_id": "another", "token": "x", "beats": 3},
]
LONG = "x" * 5000
ODD = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 5.0, 2.5, float("nan"), float("inf"), 1e308, 10**30, 10**400),
        *("", "x", "1", "x[/y]", "[b]", ":smile:", "a\x1b[2J", "\x1b]0;title\x07", "K\udcf6ln", "\u202eabc", "a\nb"),
        *("../../x", LONG, "<b>", "=1+1", [], [1], ["a"], [[1]], {}, {"a": 1}, {"": {}}),
    ]
)
ODD_BYTES = st.sampled_from(
    [
        *(b"", b"\xff\xfe", b"[]", b"{}", b"null", b"1", b"\0" * 9, b"{" * 3000, b"[" * 100_000, b'{"a": 1, "a": 2}'),
        *(b"- 1", b"&a [*a]", b"? : 1", b"!!python/object/apply:os.system [ls]", b"PK torn"),
    ]
)
QUICK = [
    *(["status"], ["status", "--json"], ["tables"], ["verify"], ["export", "--force", "all.tar.gz"]),
    *(["tables", "--from", "all.tar.gz", "--out", "there"], ["import", "all.tar.gz", "results_dir=imported"]),
    *(["plan", "method=bl,lw", "dataset=digits"], ["why", FINISHED[0].run_id, FINISHED[2].run_id]),
    *(["log", FINISHED[0].run_id], ["status", "--forget", "failed"]),
]
SLOW = [["figures"], ["report"]]
MAY_FAIL = {"verify", "why", "log", "export", "import"}
"""They say in one line what is harmed, or that there is nothing to do."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with runs in every state."""
    results = tmp_path_factory.mktemp("whole") / "results"
    for experiment in FINISHED:
        finish(results, experiment, 0.5 + 0.1 * experiment.seed)
    for number, status in enumerate(STATUSES):
        begun = tiny_experiment("method=fc", f"seed={number}")
        folder = Store(results).run(begun.run_id)
        folder.create()
        folder.write_config(begun)
        folder.write_status(status)
    return results


def places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a tree."""
    yield above
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from places(value, (*above, key))


def changed(tree: Any, draw: Any) -> Any:
    """The tree with one value replaced, removed or called otherwise."""
    tree = copy.deepcopy(tree)
    *above, last = draw(st.sampled_from([place for place in places(tree) if place]))
    node = tree
    for key in above:
        node = node[key]
    how = draw(st.sampled_from(["value", "value", "value", "removed", "renamed"]))
    if how == "value":
        node[last] = draw(ODD)
    elif how == "removed" or isinstance(node, list):
        del node[last]
    else:
        node[draw(st.sampled_from(["", "x", "_label_", "\x1b[2J"]))] = node.pop(last)
    return tree


def seal(folder: Path, result: Any) -> None:
    """Write a result with all its checksums right, as one who wants to deceive can."""
    if isinstance(result.get("files"), dict):
        result["files"] = {name: file_sha256(folder / name) for name in BELONGING if (folder / name).is_file()}
    result.pop("sha256", None)
    head = json.dumps(result, indent=1).removesuffix("\n}")
    import hashlib

    digest = hashlib.sha256(head.encode()).hexdigest()
    (folder / RESULT).write_text(f'{head},\n "sha256": "{digest}"\n}}\n')


def make_odd(results: Path, draw: Any) -> None:
    folder = draw(st.sampled_from(sorted((results / "runs").iterdir())))
    path = draw(st.sampled_from(sorted(path for path in folder.iterdir() if path.name != ".lock")))
    text = path.suffix != ".npz" and draw(st.integers(0, 3)) > 0
    if not text:
        path.write_bytes(draw(ODD_BYTES | st.binary(max_size=40).map(path.read_bytes().__add__)))
    elif path.suffix == ".jsonl":
        rows = changed([json.loads(line) for line in path.read_text().splitlines()], draw)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.name == CONFIG:
        path.write_text(yaml.dump(changed(yaml.safe_load(path.read_text()), draw)))
    else:
        path.write_text(json.dumps(changed(json.loads(path.read_text()), draw)))
    if (folder / RESULT).is_file() and draw(st.booleans()):
        with contextlib.suppress(ValueError, AttributeError):
            reseal(folder)


def reseal(folder: Path) -> None:
    """Make checksums, the run's id and the folder's name fit what is there."""
    result = json.loads((folder / RESULT).read_bytes())
    with contextlib.suppress(Exception):  # a configuration that nobody could have run
        result["run_id"] = Experiment.from_dict(result["config"]).run_id
    seal(folder, result)
    new = folder.with_name(str(result.get("run_id")).replace("/", "")[:100] or "x")
    if not new.exists():
        folder.rename(new)


def put_what_is_no_file(runs: Path) -> None:
    """Pipes, endless and circular links, folders in place of files, and folders with names that are commands."""
    for number in range(4):
        (runs / f"{number:016x}").mkdir()
    os.mkfifo(runs / f"{0:016x}" / RESULT)
    for name in (CONFIG, STATUS):
        os.mkfifo(runs / f"{1:016x}" / name)
    (runs / f"{2:016x}" / RESULT).symlink_to("/dev/zero")
    (runs / f"{3:016x}" / RESULT).symlink_to(RESULT)
    for name in (b"\xff\xfe", b"a\x1b[2J", b"[b]x"):
        shutil.copytree(os.fsencode(runs / FINISHED[0].run_id), os.fsencode(runs) + b"/" + name)
    (runs / FINISHED[1].run_id / RESULT).unlink()
    (runs / FINISHED[1].run_id / RESULT).mkdir()
    (runs / ("5" * 16)).symlink_to("nowhere")


def check(results: Path, here: Path, harm: Callable[[Path], None], commands: list[list[str]]) -> None:
    """Harm a copy of the results, and type commands."""
    shutil.copytree(results, here / "results")
    harm(here / "results")
    with contextlib.chdir(here):
        for words in commands:
            if "all.tar.gz" in words and words[0] != "export" and not Path("all.tar.gz").exists():
                continue
            out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(words)
                out.flush()
                err.flush()
            said, told = out.buffer.getvalue().decode(), err.buffer.getvalue().decode()  # type: ignore[attr-defined]
            assert code == 0 or (words[0] in MAY_FAIL and code == 1), (words, told)
            assert "HYDRA_FULL_ERROR" not in told, (words, told)
            assert all(letter >= " " or letter in "\n\t" for letter in said + told), (words, said, told)
    shutil.rmtree(here)


@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_command_goes_on_and_names_what_it_leaves_out(whole: Path, tmp_path_factory: Any, data: Any) -> None:
    check(whole, tmp_path_factory.mktemp("odd"), partial(make_odd, draw=data.draw), QUICK)


def test_what_is_no_file_stops_nothing(whole: Path, tmp_path: Path) -> None:
    check(whole, tmp_path / "odd", lambda results: put_what_is_no_file(results / "runs"), QUICK)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_figures_and_the_report_are_drawn_without_it(whole: Path, tmp_path_factory: Any, data: Any) -> None:
    check(whole, tmp_path_factory.mktemp("odd"), partial(make_odd, draw=data.draw), SLOW)
