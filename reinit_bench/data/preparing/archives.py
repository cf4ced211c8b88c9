"""The files that a builder is made from: TFDS downloads them, unless a user fetched them by hand."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from tensorflow_datasets.core.download import checksums, downloader, resource

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.locations import manual_dir
from reinit_bench.data.preparing.job import Job
from reinit_bench.store.files import file_sha256

ANSWER_SECONDS = 5
"""So long a server may take to answer at all; TFDS would retry for minutes where there is no network."""


class Unfetched(Exception):
    """A file could not be had; the message says why in a few words."""


class Archives:
    """The files of one builder: the user's own, those downloaded before, and those to be downloaded."""

    def __init__(self, job: Job, url_infos: dict[str, Any], console: Console) -> None:
        self.job, self.url_infos, self.console = job, url_infos, console
        self.manual = manual_dir(job.root, job.builder)
        self.folders = [self.manual / job.config, self.manual] if job.config else [self.manual]
        self.folder = job.root / "downloads"
        self.failures: dict[str, str] = {}

    def drop_corrupt(self) -> None:
        """Delete downloads whose content has changed since: TFDS accepts any file where it would put the download."""
        for url, info in self.url_infos.items():
            path = self.folder / self.job.builder / resource.get_dl_fname(url, info.checksum)
            name = self._name(url)
            vouched = (vouched_sha256(folder / name) for folder in self.folders)
            if path.is_file() and file_sha256(path) not in (info.checksum, *vouched):
                path.unlink()
                self.console.out(f"corrupt: the downloaded file {name} has changed; fetching it again")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Within this block TFDS's downloader takes a user's own file where there is one."""
        original = downloader._Downloader._sync_download

        def sync_download(engine: Any, url: str, destination: Any, verify: bool = True) -> Any:
            if self.failures:
                raise Unfetched("given up, since another file is missing")
            try:
                own = self._take(url, Path(destination))
                return own or self._downloaded(lambda: original(engine, url, destination, verify), url)
            except Unfetched as error:
                self.failures[url] = str(error)
                raise

        downloader._Downloader._sync_download = sync_download
        try:
            yield
        finally:
            downloader._Downloader._sync_download = original

    def _downloaded(self, download: Any, url: str) -> Any:
        reason = unreachable(url)
        if reason is not None:
            raise Unfetched(reason)
        try:
            return download()
        except Exception as error:
            raise Unfetched(" ".join(str(error).split()) or type(error).__name__) from error

    def _take(self, url: str, destination: Path) -> Any:
        """A user's own file as TFDS's downloader would return it; None if there is none.

        It has the published SHA-256, or one that the user vouches for in `<name>.sha256` next to it (as `sha256sum`
        writes it), since mirrors repack archives.

        Raises:
            Unfetched: the user's file is another.
        """
        info, name = self.url_infos.get(url), self._name(url)
        own = next((folder / name for folder in self.folders if (folder / name).is_file()), None)
        if own is None:
            return None
        if len({other for other in self.url_infos if self._name(other) == name}) > 1 and own.parent == self.manual:
            raise Unfetched(f"{own} may be that of another configuration; put it into {self.folders[0]}")
        found = file_sha256(own)
        if info is not None and found not in (info.checksum, vouched_sha256(own)):
            raise Unfetched(
                f"{own} has SHA-256 {found}, not {vouched_sha256(own) or info.checksum}; if you trust it, run "
                f"`cd {own.parent} && sha256sum {name} > {name}.sha256`"
            )
        path = destination / name
        shutil.copyfile(own, path)
        self.console.out(f"{self.job.title}: {name} taken from {own.parent}", highlight=False)
        return downloader.DownloadResult(
            path=resource.epath.Path(path), url_info=info or checksums.compute_url_info(path)
        )

    def _name(self, url: str) -> str:
        """The name of the file at `url`, by the dataset's yaml, by TFDS, or as the address ends."""
        named = next((name for part, name in (self.job.source.file_names or {}).items() if part in url), None)
        info = self.url_infos.get(url)
        address = urllib.parse.unquote(Path(urllib.parse.urlparse(url).path).name)
        return named or (info.filename if info else None) or address

    def error(self) -> ConfigError:
        """What to tell the user when files are missing: which, why, from where, and where to put them."""
        lines = [
            f"  {self._name(url)} cannot be downloaded from {url} ({reason})" for url, reason in self.failures.items()
        ]
        if self.job.source.where:
            lines.append(f"  where else to find it: {self.job.source.where}")
        lines.append(f"  put it into {self.folders[0]} under that name and run the same command again")
        return ConfigError(f"{self.job.title}: " + "\n".join(lines).lstrip())


def unreachable(url: str) -> str | None:
    """Why the server of `url` cannot be asked at all; None if it answers, whatever it says."""
    reasons: list[str | None] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()
            reasons.append(None)
        except urllib.error.HTTPError as error:
            error.close()
            reasons.append(None)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reasons.append(str(getattr(error, "reason", error)) or type(error).__name__)

    # A daemon, since a name server that is not there has a time limit of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS + 2)
    return reasons[0] if reasons else "no answer"


def vouched_sha256(path: Path) -> str | None:
    """The SHA-256 that a user vouches for, in the file `<name>.sha256` next to `path`; None if there is none."""
    try:
        words = path.with_name(f"{path.name}.sha256").read_text().split()
    except FileNotFoundError:
        return None
    return words[0].lower() if words else None
