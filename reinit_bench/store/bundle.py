"""Bundles: finished runs as one archive, the same bytes from the same runs, and read without trusting who made it.

A bundle is a gzipped tar archive. It holds `manifest.json`, which lists all other members in their order with sizes
and SHA-256, and `runs/<run id>/<file>` for each file of each run, sorted. Every member has the same owner, mode and
time. It is read from front to back, and nothing is accepted but what `pack` writes: a header must be, to the byte, the
header that belongs to the manifest's next line. So there can be no links, no devices, no paths of another's choice, no
repeated members and none that the manifest does not know; and all sizes are known before anything is unpacked.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.store import BELONGING, RESULT, Store
from reinit_bench.store.untrusted import checked_run

VERSION = 1
"""Of the format."""

ENDING = ".tar.gz"
MANIFEST = "manifest.json"

MOST_FILES = 250_000
MOST_BYTES_OF_A_FILE = 64 * 2**20
MOST_BYTES = 4 * 2**30
"""Of all files together."""

MOST_BYTES_OF_THE_MANIFEST = 64 * 2**20
LARGEST_RATIO = 200
"""How many times as large as the archive its content may be; runs are 6 to 25 times as large."""

_FREE_OF_RATIO = 2**20
"""Up to so many bytes the ratio is not looked at: a few small runs that are nearly equal shrink more."""

_FIRST_LINE = re.compile(rb'\{"format": "reinit-bench bundle", "version": (\d{1,9}), "files": \[\n')
_LINE = re.compile(rb'  \["(?P<name>[^"\\]{1,200})", (?P<size>0|[1-9]\d{0,14}), "(?P<sha256>[0-9a-f]{64})"\],?\n')
_LAST_LINE = b"]}\n"
_MEMBER = re.compile(rf"runs/[0-9a-f]{{16}}/({'|'.join(map(re.escape, (*BELONGING, RESULT)))})")
_BLOCK, _CHUNK = 512, 2**16
_END = bytes(2 * _BLOCK)
_USTAR = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")


class BundleError(ConfigError):
    """A bundle that cannot be written or used; the message says in one line why."""


class Member(NamedTuple):
    """A line of the manifest: the member's name, its size in bytes, and its SHA-256 in hexadecimal digits."""

    name: str
    size: int
    sha256: str

    @property
    def run_id(self) -> str:
        """The run that it belongs to."""
        return self.name.split("/")[1]

    @property
    def file(self) -> str:
        """Its name in the run's folder."""
        return self.name.split("/")[2]


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


def pack(store: Store, run_ids: Iterable[str]) -> Packed:
    """The finished ones among these runs of a store as a bundle; the others are passed over.

    Raises:
        BundleError: they are too large for a bundle, or one of them changes meanwhile.
    """
    members: list[Member] = []
    left_out: list[str] = []
    for run_id in sorted(set(run_ids)):
        try:
            files = store.run(run_id).finished_files()
            if files is not None:
                checked_run(run_id, files)
                members += [_member(run_id, name, files[name]) for name in sorted(files)]
        except ConfigError as error:
            left_out.append(str(error))
        except ValueError as error:
            left_out.append(f"run {run_id} cannot be used: {error}")
    manifest = _manifest(members)
    if why := _too_much(members, len(manifest)):
        raise BundleError(f"{why}; export the studies one by one")
    packer = zlib.compressobj(9, wbits=31)  # a gzip header with no time and no name in it
    pieces = [packer.compress(_entry(MANIFEST, manifest))]
    for run_id, group in groupby(members, key=lambda member: member.run_id):
        files = store.run(run_id).finished_files() or {}
        for member in group:
            content = files.get(member.file, b"")
            if _member(run_id, member.file, content) != member:
                raise BundleError(f"run {run_id} in {store.results_dir} changed while it was read; export again")
            pieces.append(packer.compress(_entry(member.name, content)))
    pieces += [packer.compress(_END), packer.flush()]
    return Packed(b"".join(pieces), len({member.run_id for member in members}), tuple(left_out))


@contextmanager
def unpacked(file: Path) -> Iterator[Store]:
    """The runs of a bundle, every byte of it checked, as a store in a temporary folder that ends with the block.

    Raises:
        BundleError: the file is no bundle, is damaged or cut short, or holds what a bundle must not hold.
    """
    if not file.is_file():
        raise BundleError(f"{file} is {'no file' if file.exists() else 'not there'}; a bundle is a {ENDING} file")
    with TemporaryDirectory(prefix="reinit-bench-") as folder:
        store = Store(Path(folder))
        try:
            with file.open("rb") as stream:
                for run_id, files in _runs(_Unpacker(stream), file.stat().st_size):
                    run = store.run(run_id)
                    run.create()
                    for name, content in files.items():
                        (run.path / name).write_bytes(content)
        except OSError as error:
            raise BundleError(f"{file} cannot be unpacked: {error.strerror or error}") from error
        except zlib.error as error:
            raise BundleError(f"{file} cannot be used: it is no gzip archive, or a damaged one") from error
        except ValueError as error:
            raise BundleError(f"{file} cannot be used: {error}") from error
        yield store


class _Unpacker:
    """The unpacked content of a gzip stream, in pieces of the size that is asked for and never more."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._gzip = zlib.decompressobj(wbits=31)

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            ValueError: the stream ends before.
        """
        taken = bytearray()
        while len(taken) < size:
            taken += self._next(size - len(taken))
        return bytes(taken)

    def end(self) -> None:
        """Raise ValueError if anything follows."""
        while not self._gzip.eof:
            if self._next(1):
                raise ValueError("it holds more than its manifest says")
        if self._gzip.unused_data or self._stream.read(1):
            raise ValueError("something is attached to its end")

    def _next(self, most: int) -> bytes:
        packed = self._gzip.unconsumed_tail or self._stream.read(_CHUNK)
        if self._gzip.eof or not packed:
            raise ValueError("it is empty or cut short")
        return self._gzip.decompress(packed, most)


def _runs(source: _Unpacker, packed_size: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each run's files, checked.

    Raises:
        ValueError: the archive is not what it should be.
        zlib.error: it is no gzip file, or a damaged one.
    """
    members = _read_manifest(source, packed_size)
    for run_id, group in groupby(members, key=lambda member: member.run_id):
        files = {member.file: _content(source, member) for member in group}
        try:
            checked_run(run_id, files)
        except ValueError as error:
            raise ValueError(f"run {run_id}: {error}") from error
        yield run_id, files
    if source.take(len(_END)) != _END:
        raise ValueError("it holds more than its manifest says")
    source.end()


def _read_manifest(source: _Unpacker, packed_size: int) -> list[Member]:
    header = source.take(_BLOCK)
    digits = header[124:135]
    size = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits) else -1
    if size < 0 or header != _header(MANIFEST, size):
        raise ValueError(f"it is not a bundle of reinit-bench: it does not begin with {MANIFEST}")
    _check_ratio(size, packed_size)
    if size > MOST_BYTES_OF_THE_MANIFEST:
        raise ValueError(f"its manifest is larger than {MOST_BYTES_OF_THE_MANIFEST:,} bytes")
    content = source.take(size)
    _skip_padding(source, size)
    members = list(_listed(content))
    if content != _manifest(members):
        raise ValueError("its manifest is not as export writes it")
    if why := _too_much(members, size):
        raise ValueError(why)
    _check_ratio(sum(member.size for member in members), packed_size)
    names = [member.name for member in members]
    for before, name in pairwise(names):
        if name <= before:
            raise ValueError(f"its manifest lists {name} {'twice' if name == before else 'out of order'}")
    runs = {member.run_id for member in members}
    missing = runs - {member.run_id for member in members if member.file == RESULT}
    if missing:
        raise ValueError(f"run {min(missing)} has no {RESULT}")
    return members


def _check_ratio(size: int, packed_size: int) -> None:
    if size > _FREE_OF_RATIO and size > LARGEST_RATIO * packed_size:
        raise ValueError(f"it would unpack to more than {LARGEST_RATIO} times its size")


def _listed(manifest: bytes) -> Iterator[Member]:
    """What the manifest lists; read line by line, since JSON from elsewhere can take any amount of memory."""
    lines = io.BytesIO(manifest)
    first = _FIRST_LINE.fullmatch(lines.readline())
    if first is None:
        raise ValueError("its manifest is not a bundle's")
    if int(first[1]) != VERSION:
        raise ValueError(f"its format is version {int(first[1])}, and this release reads version {VERSION}")
    for line in lines:
        if line == _LAST_LINE:
            return
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"its manifest has a line that is no file's: {line[:80]!r}")
        name = match["name"].decode(errors="replace")
        if not _MEMBER.fullmatch(name):
            raise ValueError(f"its manifest lists {name!a}, which is no file of a run")
        yield Member(name, int(match["size"]), match["sha256"].decode())


def _content(source: _Unpacker, member: Member) -> bytes:
    if source.take(_BLOCK) != _header(member.name, member.size):
        raise ValueError(f"where its manifest has {member.name} it holds something else")
    content = source.take(member.size)
    _skip_padding(source, member.size)
    if hashlib.sha256(content).hexdigest() != member.sha256:
        raise ValueError(f"{member.name} does not have the checksum in its manifest")
    return content


def _skip_padding(source: _Unpacker, size: int) -> None:
    if any(source.take(-size % _BLOCK)):
        raise ValueError("it holds more than its manifest says")


def _too_much(members: list[Member], manifest_size: int) -> str | None:
    """Why these are too many or too large for a bundle; None if they are not."""
    if len(members) > MOST_FILES or manifest_size > MOST_BYTES_OF_THE_MANIFEST:
        return f"there are more than {MOST_FILES:,} files"
    large = next((member.name for member in members if member.size > MOST_BYTES_OF_A_FILE), None)
    if large is not None:
        return f"{large} is larger than {MOST_BYTES_OF_A_FILE:,} bytes"
    if sum(member.size for member in members) > MOST_BYTES:
        return f"the files are larger than {MOST_BYTES:,} bytes"
    return None


def _manifest(members: Iterable[Member]) -> bytes:
    """JSON, a line for each file."""
    lines = [f"  {json.dumps(list(member))}" for member in members]
    first = f'{{"format": "reinit-bench bundle", "version": {VERSION}, "files": [\n'
    return (first + ",\n".join(lines) + "\n" * bool(lines)).encode() + _LAST_LINE


def _member(run_id: str, name: str, content: bytes) -> Member:
    return Member(f"runs/{run_id}/{name}", len(content), hashlib.sha256(content).hexdigest())


def _entry(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % _BLOCK)


def _header(name: str, size: int) -> bytes:
    """A plain file's header, as POSIX has it (ustar): readable by all, owned by nobody in particular, of 1970."""
    zero, owner = b"0000000", (b"", b"")

    def packed(checksum: bytes) -> bytes:
        numbers = b"0000644", zero, zero, b"%011o" % size, b"%011o" % 0, checksum
        return _USTAR.pack(name.encode(), *numbers, b"0", b"", b"ustar", b"00", *owner, zero, zero, b"")

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))
