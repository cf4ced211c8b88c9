"""Makes a TFDS builder use our downloads: hashed and resumable, or replaced by files fetched by hand."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from tensorflow_datasets.core.download import checksums, downloader, resource

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.locations import manual_dir
from reinit_bench.data.preparing.fetch import (
    Cancelled,
    Unfetched,
    Wanted,
    download,
    fetched_by_hand,
    link_or_copy,
    name_in,
    unpacked_sha256,
    vouched_sha256,
)
from reinit_bench.data.preparing.job import Job
from reinit_bench.store.files import file_sha256


class Downloads:
    """The files of one builder: the user's own, those downloaded before, and those to be downloaded."""

    def __init__(self, job: Job, url_infos: dict[str, Any], progress: Progress) -> None:
        self.job = job
        self.url_infos = url_infos
        self.progress = progress
        self.manual = manual_dir(Path(job.root), job.builder)
        self.folder = Path(job.root) / "downloads"
        self.failures: dict[str, str] = {}
        self._taken: list[Path] = []
        self._cancel = threading.Event()

    def wanted(self, url: str) -> Wanted:
        """What is known about the file at `url`."""
        info = self.url_infos.get(url)
        named = next((name for part, name in self.job.files.items() if part in url), None)
        name = named or (info.filename if info else None) or name_in(url)
        return Wanted(url, name, info.checksum if info else None, int(info.size) if info else None)

    def drop_corrupt(self) -> list[str]:
        """Delete downloads whose content has changed since; returns their names.

        TFDS accepts any file that it finds where it would put the download.
        """
        dropped = []
        for url, info in self.url_infos.items():
            path = self.folder / self.job.builder / resource.get_dl_fname(url, info.checksum)
            if not path.is_file():
                continue
            wanted = self.wanted(url)
            accepted = {wanted.sha256, vouched_sha256(self.manual / wanted.name)}
            content = self.job.contents.get(wanted.name)
            if file_sha256(path) not in accepted and (content is None or unpacked_sha256(path) != content):
                path.unlink()
                dropped.append(wanted.name)
        return dropped

    def fetch(self, url: str, destination: Path) -> Any:
        """Put the file at `url` into the folder `destination`, as TFDS's downloader would."""
        wanted = self.wanted(url)
        try:
            path = destination / wanted.name
            own = self._own(wanted)
            if own is not None:
                # What belongs to the system gets no second name here: a copy cannot change it.
                (link_or_copy if own.parent == self.manual else shutil.copyfile)(own, path)
                self._taken.append(own.parent)  # by several threads
            else:
                self._download(wanted, path)
        except Unfetched as error:
            self.failures[url] = str(error)
            self._cancel.set()
            raise
        info = self.url_infos.get(url) or checksums.compute_url_info(path)
        return downloader.DownloadResult(path=resource.epath.Path(path), url_info=info)

    def _own(self, wanted: Wanted) -> Path | None:
        """A file of this machine to take instead of a download: one fetched by hand, or one with upstream's content.

        Raises:
            Unfetched: the user's file has another hash, and what it holds cannot be told.
        """
        expected = self.job.contents.get(wanted.name)
        if expected is None or vouched_sha256(self.manual / wanted.name) is not None:
            return fetched_by_hand(wanted, self.manual)
        for folder in (self.manual, *map(Path, self.job.folders)):
            path = folder / wanted.name
            if not path.is_file():
                continue
            found = unpacked_sha256(path)
            if found == expected:
                return path
            line = f"left aside: {path}: its unpacked SHA-256 is {found}, not {expected}"
            self.progress.console.out(line, highlight=False)
        return None

    def taken(self) -> list[str]:
        """What was taken from folders of this machine instead of being downloaded, a line for each folder."""
        counts = sorted(Counter(self._taken).items())
        return [
            f"{self.job.title}: {count} file{'s' if count != 1 else ''} taken from {folder}" for folder, count in counts
        ]

    def _download(self, wanted: Wanted, path: Path) -> None:
        parts = self.folder / self.job.builder / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        part = parts / (wanted.sha256 or wanted.name)
        task = self.progress.add_task(wanted.name, total=wanted.size)
        download(wanted, part, lambda count: self.progress.update(task, completed=count), self._cancel)
        part.rename(path)

    def error(self) -> ConfigError:
        """What to tell the user when files are missing: which, why, from where, and where to put them."""
        lines = []
        for url, reason in self.failures.items():
            lines.append(f"  {self.wanted(url).name} cannot be downloaded from {url} ({reason})")
        if self.job.where:
            lines.append(f"  where else to find it: {self.job.where}")
        lines.append(f"  put it into {self.manual} under that name and run the same command again")
        return ConfigError(f"{self.job.title}: " + "\n".join(lines).lstrip())


@contextlib.contextmanager
def downloads_through(downloads: Downloads) -> Iterator[None]:
    """Make TFDS's downloader get every file from `downloads`."""

    def sync_download(engine: Any, url: str, destination: Any, verify: bool = True) -> Any:
        del engine, verify
        return downloads.fetch(url, Path(destination))

    original = downloader._Downloader._sync_download
    downloader._Downloader._sync_download = sync_download
    try:
        yield
    finally:
        downloader._Downloader._sync_download = original


def download_progress(console: Any) -> Progress:
    """Progress bars with bytes and speed."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    return Progress(*columns, console=console)


__all__ = ["Cancelled", "Downloads", "download_progress", "downloads_through"]
