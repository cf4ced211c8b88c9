"""Bundles: the same bytes from the same runs, and nothing is accepted that export does not write."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import store_of

from reinit_bench.store import bundle
from reinit_bench.store.bundle import BundleError, Member, pack, unpacked
from reinit_bench.store.checks import BELONGING, RESULT, sealed
from reinit_bench.store.store import Store

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two finished runs."""
    return store_of(tmp_path_factory.mktemp("theirs"), 0, 1)


@pytest.fixture(scope="module")
def packed(store: Store) -> bytes:
    return pack(store, store.run_ids()).content


@pytest.fixture(autouse=True)
def temporary_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bundles are unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def members(packed: bytes) -> Files:
    """All members by name, as any reader of tar archives sees them."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def archive(entries: list[tuple[str, bytes]], manifest: list[Member] | None = None, size: int | None = None) -> bytes:
    """A bundle of these members, and of a manifest that fits them if none is given; all claim to have `size` bytes."""
    if manifest is None:
        manifest = [Member.of(name, content) for name, content in entries]
    stream = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=stream) as packed:
        for name, content in [("manifest.json", bundle._manifest(manifest)), *entries]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content) if size is None else size
            packed.addfile(entry, io.BytesIO(content + bytes(entry.size - len(content))) if size is None else None)
    return stream.getvalue()


def refusal(folder: Path, content: bytes) -> str:
    """Why a file of this content is refused; what was unpacked of it is gone."""
    file = folder / "their.tar.gz"
    file.write_bytes(content)
    with pytest.raises(BundleError) as error, unpacked(file):
        pass
    assert "\n" not in str(error.value)
    assert os.listdir(tempfile.gettempdir()) == []
    return str(error.value).removeprefix(f"{file} cannot be used: ")


def test_equal_runs_make_equal_bytes_wherever_they_are(store: Store, packed: bytes, tmp_path: Path) -> None:
    shutil.copytree(store.runs_dir, tmp_path / "copy" / "runs")
    copy = Store(tmp_path / "copy")
    for run_id in copy.run_ids():
        (copy.run(run_id).path / "checkpoint.pt").write_bytes(b"not carried")
        (copy.run(run_id).path / "status.json").write_text("{}")
    assert pack(copy, reversed(copy.run_ids())).content == packed


def test_any_reader_of_archives_finds_a_results_folder_in_it(store: Store, packed: bytes) -> None:
    found = members(packed)
    names = [f"runs/{run_id}/{name}" for run_id in store.run_ids() for name in sorted((*BELONGING, RESULT))]
    assert list(found) == ["manifest.json", *names]
    for name in names:
        assert found[name] == (store.results_dir / name).read_bytes()
    assert json.loads(found["manifest.json"]) == {
        "format": "reinit-bench bundle",
        "version": 1,
        "files": [[name, len(found[name]), hashlib.sha256(found[name]).hexdigest()] for name in names],
    }


def test_it_is_read_as_a_store_that_is_gone_afterwards(store: Store, packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(packed)
    with unpacked(tmp_path / "a.tar.gz") as found:
        assert found.run_ids() == store.run_ids()
        for run_id in store.run_ids():
            assert found.run(run_id).finished_files() == store.run(run_id).finished_files()
    assert not found.results_dir.exists()
    with pytest.raises(KeyboardInterrupt), unpacked(tmp_path / "a.tar.gz") as found:
        raise KeyboardInterrupt
    assert not found.results_dir.exists()


def test_runs_that_are_not_done_are_passed_over_and_harmed_ones_named(tmp_path: Path) -> None:
    store = store_of(tmp_path, 0, 1, 2)
    begun, harmed, whole = store.run_ids()
    (store.run(begun).path / RESULT).unlink()
    (store.run(harmed).path / "history.jsonl").write_text("")
    found = pack(store, store.run_ids())
    assert found.runs == 1
    assert {name.split("/")[1] for name in members(found.content) if name != "manifest.json"} == {whole}
    (line,) = found.left_out
    assert line.startswith(f"{store.run(harmed).path / 'history.jsonl'} has changed since the run was done")


def test_a_result_of_an_older_version_has_no_checksums_and_is_carried(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", 0)
    path = store.run(*store.run_ids()).path / RESULT
    result = json.loads(path.read_bytes())
    path.write_text(json.dumps({key: value for key, value in result.items() if key not in ("files", "sha256")}))
    (tmp_path / "a.tar.gz").write_bytes(pack(store, store.run_ids()).content)
    with unpacked(tmp_path / "a.tar.gz") as found:
        assert found.run(*store.run_ids()).finished_files() == store.run(*store.run_ids()).finished_files()


def test_every_flipped_byte_and_every_cut_is_noticed(packed: bytes, tmp_path: Path) -> None:
    for place in range(10, len(packed), 97):  # before come the time and the system, of which gzip has no checksum
        flipped = bytearray(packed)
        flipped[place] ^= 4
        refusal(tmp_path, bytes(flipped))
        refusal(tmp_path, packed[:place])


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip archive", gzip.compress(b"text"), gzip.compress(b"text" * 1000)]
)
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    assert refusal(tmp_path, content) == "it is no gzipped tar archive, or a damaged one"


def test_another_archive_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=stream) as other:
        other.addfile(tarfile.TarInfo("README.md"))
    why = "it holds something else than manifest.json where that belongs"
    assert refusal(tmp_path, stream.getvalue()) == refusal(tmp_path, gzip.compress(bytes(1024))) == why


def test_what_follows_is_refused(packed: bytes, tmp_path: Path) -> None:
    unzipped = gzip.decompress(packed)
    more = "it holds more than its manifest says"
    assert refusal(tmp_path, packed + b"x") == "it is no gzipped tar archive, or a damaged one"
    assert refusal(tmp_path, packed + packed) == more
    assert refusal(tmp_path, gzip.compress(unzipped + bytes(512) + b"x")) == more
    assert "times its size" in refusal(tmp_path, gzip.compress(unzipped + bytes(2**26)))


NAMES = (
    "../../.bashrc",
    "/etc/passwd",
    "runs/../../x/result.json",
    "runs/0123456789abcdef/../result.json",
    "runs/0123456789abcdef/checkpoint.pt",
    "runs/0123456789abcdef/status.json",
    "runs/0123456789ABCDEF/result.json",
    "runs/0123456789abcdef/result.json\n",
    "runs/0123456789abcdef//result.json",
    "./runs/0123456789abcdef/result.json",
    "runs/0123456789abcde\u0661/result.json",
    "README.md",
)


@pytest.mark.parametrize("name", NAMES)
def test_no_other_file_can_be_in_it(name: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, archive([(name, b"{}")])) == "its manifest.json is not as export writes it"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_refused(kind: bytes, store: Store, packed: bytes, tmp_path: Path) -> None:
    unzipped = bytearray(gzip.decompress(packed))
    name = f"runs/{store.run_ids()[0]}/config.yaml"
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, "/etc/passwd", len(members(packed)[name])
    place = unzipped.index(name.encode() + b"\0")
    unzipped[place : place + 512] = entry.tobuf(tarfile.USTAR_FORMAT)
    assert refusal(tmp_path, gzip.compress(unzipped)) == f"it holds something else than {name} where that belongs"


def test_a_member_twice_or_out_of_order_is_refused(packed: bytes, tmp_path: Path) -> None:
    _, *entries = members(packed).items()
    for wrong in ([entries[0], *entries], entries[::-1]):
        assert refusal(tmp_path, archive(wrong)) == "its manifest.json is not as export writes it"
    listed = [Member.of(name, content) for name, content in entries]
    repeated = archive([entries[0], *entries], listed)
    assert refusal(tmp_path, repeated) == f"it holds something else than {entries[1][0]} where that belongs"


def test_a_wrong_checksum_is_refused(packed: bytes, tmp_path: Path) -> None:
    _, *entries = members(packed).items()
    listed = [Member(name, len(content), "0" * 64) for name, content in entries]
    assert refusal(tmp_path, archive(entries, listed)) == f"{entries[0][0]} does not have the checksum in its manifest"


def test_a_format_of_a_later_release_is_named(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_HEAD", bundle._HEAD.replace('"version": 1', '"version": 2'))
    assert refusal(tmp_path, archive([])) == "its format is version 2, and this release reads version 1"


def test_sizes_are_limited_before_anything_is_unpacked(store: Store, tmp_path: Path) -> None:
    name, none = f"runs/{store.run_ids()[0]}/%s", "0" * 64
    huge = [Member(name % "result.json", 2**26 + 1, none)]
    assert refusal(tmp_path, archive([], huge)) == f"{name % 'result.json'} is larger than 67,108,864 bytes"
    many = [Member(f"runs/{number:016x}/result.json", 2**26, none) for number in range(65)]
    assert refusal(tmp_path, archive([], many)) == "the files are larger than 2,147,483,648 bytes"
    bomb = [(name % "history.jsonl", bytes(2**25)), (name % "result.json", b"{}")]
    assert "times its size" in refusal(tmp_path, archive(bomb))
    assert refusal(tmp_path, archive([], size=2**33 - 1)) == "manifest.json is larger than 67,108,864 bytes"


def test_the_number_of_files_is_limited(
    store: Store, packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_FILES", 9)
    with pytest.raises(BundleError, match="there are more than 9 files; export the studies one by one"):
        pack(store, store.run_ids())
    assert refusal(tmp_path, packed) == "there are more than 9 files"


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Files], None]:
    """A change of the result, with its checksum made anew."""

    def edit(files: Files) -> None:
        result = json.loads(files[RESULT])
        del result["sha256"]
        change(result)
        files[RESULT] = sealed(result).encode()

    return edit


def replaced(name: str, content: bytes) -> Callable[[Files], None]:
    """Another content of a file, with all checksums made anew."""

    def edit(files: Files) -> None:
        files[name] = content
        edited(lambda result: result["files"].update({name: hashlib.sha256(content).hexdigest()}))(files)

    return edit


def npz(arrays: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in arrays.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(shape: tuple[int, ...], data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})  # type: ignore[arg-type]
    return stream.getvalue() + data


def pickled() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, margins=np.array([{"a": 1}], dtype=object))
    return stream.getvalue()


HARMED: dict[str, tuple[Callable[[Files], None], str]] = {
    "edited result": (
        lambda files: files.update({RESULT: files[RESULT].replace(b'"test_accuracy": 0.9', b'"test_accuracy": 0.8')}),
        "its checksum does not match",
    ),
    "edited and sealed": (
        edited(lambda result: result["config"].update(seed=77)),
        "its configuration has the run id ",
    ),
    "file of another run": (
        lambda files: files.update({"rounds.jsonl": b"{}\n"}),
        "rounds.jsonl is not the file whose checksum its result has",
    ),
    "file missing": (
        lambda files: files.pop("history.jsonl") and None,
        "history.jsonl is not the file whose checksum its result has",
    ),
    "file unknown to the result": (
        edited(lambda result: result["files"].pop("diagnostics.npz")),
        "diagnostics.npz is not the file whose checksum its result has",
    ),
    "wrong kind": (edited(lambda result: result.update(device={})), "device is {}"),
    "wrong kind in the configuration": (
        edited(lambda result: result["config"]["model"].update(_absent_=3)),
        "its configuration cannot be used: ",
    ),
    "control characters": (
        edited(lambda result: result["config"]["dataset"].update(_note_="a\x1b[2J")),
        "its configuration cannot be used: it holds text that cannot be printed",
    ),
    "nested": (
        lambda files: files.update({RESULT: b"[" * 200_000}),
        "it is nested too deeply",
    ),
    "long result": (
        edited(lambda result: result.update(study=random.Random(0).randbytes(2**19).hex())),
        "result.json is larger than 1,048,576",
    ),
    "another configuration": (
        replaced("config.yaml", b"a: 1\n"),
        "config.yaml is not the configuration in result.json",
    ),
    "yaml that calls": (
        replaced("config.yaml", b"!!python/object/apply:os.system ['true']\n"),
        "config.yaml is not YAML",
    ),
    "yaml aliases": (replaced("config.yaml", b"a: &a [1]\nb: [*a, *a]\n"), "config.yaml has aliases or more than 20"),
    "yaml depth": (replaced("config.yaml", b"[" * 900), "config.yaml has aliases or more than 20 levels"),
    "a field twice": (replaced("rounds.jsonl", b'{"steps": 1, "steps": 2}\n'), "rounds.jsonl cannot be used: a field"),
    "text for a number": (replaced("history.jsonl", b'{"step": "1"}\n'), "history.jsonl cannot be used: step is '1'"),
    "no number in a row": (
        replaced("history.jsonl", b'{"train_loss": NaN}\n'),
        "history.jsonl cannot be used: train_l",
    ),
    "no fraction": (
        replaced("rounds.jsonl", b'{"test_accuracy": 5.0}\n'),
        "rounds.jsonl cannot be used: test_accuracy",
    ),
    "accuracy above 1": (edited(lambda result: result.update(clean_train_accuracy=2.0)), "clean_train_accuracy is 2.0"),
    "pickle": (replaced("diagnostics.npz", pickled()), "diagnostics.npz cannot be used: "),
    "array larger than it is": (
        replaced("diagnostics.npz", npz({"a": npy((10**12,), b"")})),
        "diagnostics.npz cannot be used: ",
    ),
    "arrays that fill the memory": (
        replaced("diagnostics.npz", npz({"a": npy((2**23,), bytes(2**26))})),
        "diagnostics.npz cannot be used: larger than 67,108,864 bytes",
    ),
}


@pytest.mark.parametrize("harm", HARMED)
def test_a_run_that_no_run_left_is_refused(harm: str, store: Store, tmp_path: Path) -> None:
    change, why = HARMED[harm]
    entries = []
    for place, run_id in enumerate(store.run_ids()):
        files = dict(store.run(run_id).finished_files() or {})
        if place == 1:  # after one that is whole
            change(files)
        entries += [(f"runs/{run_id}/{name}", files[name]) for name in sorted(files)]
    assert refusal(tmp_path, archive(entries)).startswith(f"run {store.run_ids()[1]}: {why}")


def test_a_run_without_result_is_refused(store: Store, tmp_path: Path) -> None:
    run_id = store.run_ids()[0]
    assert refusal(tmp_path, archive([(f"runs/{run_id}/rounds.jsonl", b"{}\n")])) == f"run {run_id} has no result.json"
