"""Downloads that resume where they were cut, are hashed, and may be replaced by files that a user fetched by hand."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.store.files import file_sha256

ATTEMPTS = 4
TIMEOUT_SECONDS = 30
CHUNK = 1 << 20
DRIVE = re.compile(r"^https://drive\.google\.com/.*[?&]id=([\w-]+)")


class Unfetched(Exception):
    """A file could not be downloaded; the message says why in a few words."""


class Cancelled(Exception):
    """The download was given up because another one failed; what has arrived so far is kept."""


@dataclass(frozen=True)
class Wanted:
    """A file as upstream published it."""

    url: str
    name: str
    sha256: str | None
    """None: unknown; then anything is accepted."""
    size: int | None


def download(wanted: Wanted, part: Path, report: Callable[[int], None], cancel: threading.Event) -> None:
    """Download into `part`, continuing after the bytes that are already there; returns when the hash is right.

    Args:
        report: called with the number of bytes that are there.
        cancel: checked between chunks.

    Raises:
        Unfetched: the server refuses, cannot be reached, or sends another file.
        Cancelled: `cancel` was set.
    """
    reason = "the connection was cut"
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(2.0 ** (attempt - 2))
        try:
            _transfer(wanted, part, report, cancel)
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"HTTP {error.code}"
            if error.code == 416:
                part.unlink(missing_ok=True)
            elif error.code < 500:
                raise Unfetched(reason) from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        else:
            if wanted.size is None or part.stat().st_size >= wanted.size:
                return _verify(wanted, part)
    raise Unfetched(reason)


def _transfer(wanted: Wanted, part: Path, report: Callable[[int], None], cancel: threading.Event) -> None:
    have = part.stat().st_size if part.exists() else 0
    if wanted.size is not None and have >= wanted.size:
        return
    headers = {"User-Agent": "reinit-bench"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(direct_address(wanted.url), headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        if response.headers.get_content_type() == "text/html":
            raise Unfetched("the server answers with a web page instead of the file")
        with part.open("ab" if response.status == 206 else "wb") as stream:
            while chunk := response.read(CHUNK):
                if cancel.is_set():
                    raise Cancelled
                stream.write(chunk)
                report(stream.tell())


def _verify(wanted: Wanted, part: Path) -> None:
    found = file_sha256(part)
    if wanted.sha256 is not None and found != wanted.sha256:
        part.unlink()
        raise Unfetched(f"the download has SHA-256 {found}, not {wanted.sha256}")


def direct_address(url: str) -> str:
    """The URL of the file itself: for large files, Google Drive first shows a page that asks for consent."""
    drive = DRIVE.match(url)
    if drive is None:
        return url
    return f"https://drive.usercontent.google.com/download?id={drive[1]}&export=download&confirm=t"


def fetched_by_hand(wanted: Wanted, folder: Path) -> Path | None:
    """The file in `folder` that a user put there for `wanted`, or None.

    It must have the published SHA-256, or one that the user vouches for in a file `<name>.sha256` next to it (as
    `sha256sum` writes it): mirrors repack archives.

    Raises:
        Unfetched: it is there but has another hash.
    """
    path = folder / wanted.name
    if not path.is_file():
        return None
    expected, found = vouched_sha256(path) or wanted.sha256, file_sha256(path)
    if expected is not None and found != expected:
        raise Unfetched(
            f"{path} has SHA-256 {found}, not {expected}; if you trust it, run "
            f"`cd {folder} && sha256sum {wanted.name} > {wanted.name}.sha256`"
        )
    return path


def vouched_sha256(path: Path) -> str | None:
    """The SHA-256 that a user vouches for, in the file `<name>.sha256` next to `path`; None if there is none."""
    try:
        words = path.with_name(f"{path.name}.sha256").read_text().split()
    except FileNotFoundError:
        return None
    return words[0].lower() if words else None


def unpacked_sha256(path: Path) -> str:
    """SHA-256 of what a gzip file unpacks to; of a file that does not unpack, why not."""
    try:
        with gzip.open(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        return f"none ({error})"


def link_or_copy(source: Path, destination: Path) -> None:
    """Give `source` a second name, or copy it if the file system does not support that."""
    try:
        destination.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, destination)


def name_in(url: str) -> str:
    """The file name that a URL ends with."""
    return urllib.parse.unquote(Path(urllib.parse.urlparse(url).path).name)
