"""Bundles: finished runs as one archive, the same bytes from the same runs, and read without trusting who made it.

A bundle is a gzipped tar archive. It holds `manifest.json`, which lists all other members in their order with sizes
and SHA-256, and `runs/<run id>/<file>` for each file of each run, sorted. Every member has the same owner, mode and
time. A reader takes plain files only, in the manifest's order, and writes them under names of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.checks import BELONGING, RESULT, check_run
from reinit_bench.store.files import remove_left
from reinit_bench.store.process import tag
from reinit_bench.store.store import Store

ENDING = ".tar.gz"
MANIFEST = "manifest.json"

MOST_FILES = 250_000
MOST_BYTES_OF_A_FILE = 64 * 2**20
"""Of the manifest, too."""


MOST_BYTES = 2**31
"""Of all files together: they are read into memory."""

LARGEST_RATIO = 200
"""How many times as large as the archive its content may be; runs are 6 to 25 times as large."""

_FREE_OF_RATIO = 2**20
"""Up to so many bytes the ratio is not looked at: a few small runs that are nearly equal shrink more."""

_FOLDER = "reinit-bench-"
_HEAD = '{"format": "reinit-bench bundle", "version": 1, "files": [\n'
_NAME = rf"runs/[0-9a-f]{{16}}/(?:{'|'.join(map(re.escape, (*BELONGING, RESULT)))})"
_LINE = re.compile(rf'  \["({_NAME})", (0|[1-9]\d{{0,11}}), "([0-9a-f]{{64}})"\],?\n', re.ASCII)


class BundleError(ConfigError):
    """A bundle that cannot be written or used; the message says in one line why."""


class Member(NamedTuple):
    """A line of the manifest: the member's name, its size in bytes, and its SHA-256 in hexadecimal digits."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Member:
        """The line for a member of this content."""
        return cls(name, len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Packed:
    """A bundle's content.

    Attributes:
        content: of the file.
        runs: how many it holds.
        left_out: a line for each finished run that cannot be used: which one, and why.
    """

    content: bytes
    runs: int
    left_out: tuple[str, ...]


def pack(store: Store, run_ids: Iterable[str], track: Callable[[Sequence[str]], Iterable[str]] = iter) -> Packed:
    """The finished ones among these runs of a store as a bundle; the others are passed over.

    Args:
        track: goes through the runs, as a progress bar does.

    Raises:
        BundleError: they are too large for a bundle.
    """
    found: dict[str, bytes] = {}
    left_out: list[str] = []
    for run_id in track(sorted(set(run_ids))):
        try:
            files = store.run(run_id).finished_files() or {}
            if files:
                check_run(run_id, files)
            found |= {f"runs/{run_id}/{name}": files[name] for name in sorted(files)}
        except ValueError as error:
            prefix = "" if isinstance(error, ConfigError) else f"run {run_id} cannot be used: "
            left_out.append(f"{prefix}{error}")
    members = [Member.of(name, content) for name, content in found.items()]
    if why := _too_much(members):
        raise BundleError(f"{why}; export the studies one by one")
    stream = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as zipped,
        tarfile.open(mode="w", fileobj=zipped, format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in {MANIFEST: _manifest(members), **found}.items():
            entry = tarfile.TarInfo(name)  # readable by all, owned by nobody in particular, of 1970
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return Packed(stream.getvalue(), len({_run_of(member) for member in members}), tuple(left_out))


@contextmanager
def unpacked(file: Path) -> Iterator[Store]:
    """The runs of a bundle, every byte of it checked, as a store in a temporary folder that ends with the block.

    Raises:
        BundleError: the file is no bundle, is damaged or cut short, or holds what a bundle must not hold.
    """
    if not file.is_file():
        raise BundleError(f"{file} is {'no file' if file.exists() else 'not there'}; a bundle is a {ENDING} file")
    remove_left(Path(gettempdir()), f"{_FOLDER}*")
    with TemporaryDirectory(prefix=f"{_FOLDER}{tag()}-") as folder:
        store = Store(Path(folder))
        try:
            for run_id, files in _runs(_unzipped(file)):
                run = store.run(run_id)
                run.create()
                for name, content in files.items():
                    (run.path / name).write_bytes(content)
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BundleError(f"{file} cannot be used: it is no gzipped tar archive, or a damaged one") from error
        except OSError as error:
            raise BundleError(f"{file} cannot be unpacked: {error.strerror or error}") from error
        except ValueError as error:
            raise BundleError(f"{file} cannot be used: {error}") from error
        yield store


def _unzipped(file: Path) -> bytes:
    most = min(MOST_BYTES, max(_FREE_OF_RATIO, LARGEST_RATIO * file.stat().st_size))
    with gzip.open(file) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it would unpack to more than {LARGEST_RATIO} times its size, or {MOST_BYTES:,} bytes")
    return content


def _runs(content: bytes) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each run's files, checked.

    Raises:
        ValueError: the archive is not what it should be.
        tarfile.TarError: it is no archive, or a damaged one.
    """
    stream = io.BytesIO(content)
    with tarfile.open(mode="r:", fileobj=stream) as archive:
        for run_id, members in groupby(_listed(_next_file(archive, MANIFEST)), key=_run_of):
            files = {member.name.split("/")[2]: _content(archive, member) for member in members}
            if RESULT not in files:
                raise ValueError(f"run {run_id} has no {RESULT}")
            try:
                check_run(run_id, files)
            except ValueError as error:
                raise ValueError(f"run {run_id}: {error}") from error
            yield run_id, files
        if archive.next() is not None or stream.read().strip(b"\0"):
            raise ValueError("it holds more than its manifest says")


def _next_file(archive: tarfile.TarFile, name: str) -> bytes:
    entry = archive.next()
    if entry is None or entry.name != name or entry.type != tarfile.REGTYPE:
        raise ValueError(f"it holds something else than {name} where that belongs")
    if entry.size > MOST_BYTES_OF_A_FILE:
        raise ValueError(f"{name} is larger than {MOST_BYTES_OF_A_FILE:,} bytes")
    content = archive.extractfile(entry)
    assert content is not None
    return content.read()


def _content(archive: tarfile.TarFile, member: Member) -> bytes:
    content = _next_file(archive, member.name)
    if Member.of(member.name, content) != member:
        raise ValueError(f"{member.name} does not have the checksum in its manifest")
    return content


def _listed(manifest: bytes) -> list[Member]:
    """What the manifest lists; read by its lines, since JSON from elsewhere can take any amount of memory."""
    version = re.match(rb'\{"format": "reinit-bench bundle", "version": (\d{1,9}),', manifest)
    if version and version[1] != b"1":
        raise ValueError(f"its format is version {int(version[1])}, and this release reads version 1")
    found = _LINE.findall(manifest.decode(errors="replace"))
    members = [Member(name, int(size), sha256) for name, size, sha256 in found]
    names = [member.name for member in members]
    if manifest != _manifest(members) or names != sorted(set(names)):
        raise ValueError(f"its {MANIFEST} is not as export writes it")
    if why := _too_much(members):
        raise ValueError(why)
    return members


def _too_much(members: list[Member]) -> str | None:
    """Why these are too many or too large for a bundle; None if they are not."""
    if len(members) > MOST_FILES:
        return f"there are more than {MOST_FILES:,} files"
    for member in members:
        if member.size > MOST_BYTES_OF_A_FILE:
            return f"{member.name} is larger than {MOST_BYTES_OF_A_FILE:,} bytes"
    too_large = sum(member.size for member in members) > MOST_BYTES
    return f"the files are larger than {MOST_BYTES:,} bytes" if too_large else None


def _manifest(members: Iterable[Member]) -> bytes:
    """JSON, a line for each file."""
    lines = [f"  {json.dumps(list(member))}" for member in members]
    return (_HEAD + ",\n".join(lines) + "\n" * bool(lines) + "]}\n").encode()


def _run_of(member: Member) -> str:
    return member.name.split("/")[1]
