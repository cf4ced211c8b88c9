"""The files that a user has: a folder, an archive, or a folder of archives, found by their names."""

from __future__ import annotations

import contextlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from reinit_bench.core.settings import ConfigError

BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What a half-written archive raises."""

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")

MOST_BYTES = 16e9
"""Archives of more are not this dataset's: each of the twelve has less than 4 GB."""


class Files:
    """All files below a folder, and below the archives in it once they are unpacked."""

    def __init__(self, path: Path, work: Path) -> None:
        """Args: path: a folder or an archive; work: a folder that may be filled and is deleted later.

        Raises:
            ConfigError: there is nothing at `path`, or a file that is no archive.
        """
        if not path.exists():
            raise ConfigError(f"{path} does not exist; --from takes a folder or an archive")
        if path.is_file() and not _is_archive(path):
            raise ConfigError(f"{path} is neither a folder nor an archive (tar or zip); name the folder that it is in")
        self.path, self.work = path, work
        self.roots = [path] if path.is_dir() else []
        self._index()

    def named(self, *names: str) -> Path | None:
        """The file, or folder, at the end of whose path one of these names stands; the least deep one."""
        for name in names:
            found = self._paths.get(name.rpartition("/")[2], [])
            fitting = [path for path, upstream in found if f"/{upstream}".endswith(f"/{name}")]
            if fitting:
                return min(fitting, key=lambda path: len(path.parts))
        return None

    def unpack(self) -> bool:
        """Unpack all archives below the roots, those within archives too; returns whether there were any.

        Raises:
            ConfigError: one is damaged.
        """
        start = [self.path] if self.path.is_file() else [path for path in _below(self.path) if _is_archive(path)]
        size = sum(path.stat().st_size for path in start)
        if size > MOST_BYTES:
            raise ConfigError(
                f"{self.path} has {size / 1e9:,.0f} GB of archives; name the folder of this dataset alone"
            )
        waiting = list(start)
        while waiting:
            archive = waiting.pop()
            target = self.work / "unpacked" / f"{len(self.roots)}-{archive.name}"
            _unpack(archive, target)
            self.roots.append(target)
            waiting += [path for path in _below(target) if _is_archive(path)]
        self._index()
        return bool(start)

    def _index(self) -> None:
        self._paths: dict[str, list[tuple[Path, str]]] = {}
        for root in self.roots:
            for path in [root, *sorted(root.rglob("*"))]:
                upstream = _upstream(path)
                self._paths.setdefault(upstream.rpartition("/")[2], []).append((path, upstream))


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _upstream(path: Path) -> str:
    """The path of a file; of one that TFDS downloaded, under a name of its own, the one that it had upstream."""
    about = path.with_name(f"{path.name}.INFO")
    if about.is_file():
        with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
            said = json.loads(about.read_bytes())
            return f"{said['urls'][0].rpartition('/')[0]}/{said['original_fname']}"
    return path.as_posix()


def _is_archive(path: Path) -> bool:
    """Whether to unpack it: by its name, except of gzip, which holds single files too."""
    return path.name.endswith(ARCHIVES) or (path.suffix == ".gz" and tarfile.is_tarfile(path))


def _unpack(archive: Path, target: Path) -> None:
    target.mkdir(parents=True)
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(target)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(target, filter="data")
    except BROKEN as error:
        raise ConfigError(f"{archive} cannot be unpacked ({error}); it may be damaged or cut off") from error
