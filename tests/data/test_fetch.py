"""Downloads against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reinit_bench.data.preparing import fetch
from reinit_bench.data.preparing.fetch import (
    Cancelled,
    Unfetched,
    Wanted,
    direct_address,
    download,
    fetched_by_hand,
    name_in,
    unpacked_sha256,
)

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT under /file; remembers what was asked; can cut its first answers short."""

    cuts = 0
    ranges: bool = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    def wanted(self, path: str = "/file", sha256: str = SHA256) -> Wanted:
        return Wanted(f"http://127.0.0.1:{self.server_port}{path}", "file.tgz", sha256, len(CONTENT))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        self.server.asked.append(span)
        if self.path == "/page":
            return self._answer(200, b"<html>consent?</html>", "text/html; charset=utf-8")
        if self.path != "/file":
            return self._answer(404, b"")
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and self.server.ranges else 0
        content = CONTENT[start:]
        if self.server.cuts:
            self.server.cuts -= 1
            content = content[:300_000]
        return self._answer(206 if start else 200, content)

    def _answer(self, status: int, content: bytes, kind: str = "application/gzip") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(wanted: Wanted, part: Path, cancel: threading.Event | None = None) -> list[int]:
    """Download; returns what was reported."""
    reported: list[int] = []
    download(wanted, part, reported.append, cancel or threading.Event())
    return reported


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    reported = get(server.wanted(), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert reported[-1] == len(CONTENT)


def test_an_interrupted_download_continues_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cuts = 2
    get(server.wanted(), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_a_download_begun_by_an_earlier_process_continues(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    get(server.wanted(), tmp_path / "part")
    assert server.asked == ["bytes=1000-"]
    get(server.wanted(), tmp_path / "part")
    assert len(server.asked) == 1  # whole, so only verified


def test_a_server_without_ranges_sends_the_whole_file_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "part").write_bytes(b"x" * 1000)
    get(server.wanted(), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_file_with_another_hash_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unfetched, match=f"the download has SHA-256 {SHA256}, not 00"):
        get(server.wanted(sha256="00"), tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_a_dead_link_is_requested_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unfetched, match="HTTP 404"):
        get(server.wanted("/gone"), tmp_path / "part")
    assert len(server.asked) == 1


def test_a_page_instead_of_the_file_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unfetched, match="answers with a web page"):
        get(server.wanted("/page"), tmp_path / "part")


def test_after_many_interruptions_a_download_fails_and_keeps_what_arrived(server: Server, tmp_path: Path) -> None:
    server.cuts = 100
    server.ranges = False
    with pytest.raises(Unfetched, match="the connection was cut"):
        get(server.wanted(), tmp_path / "part")
    assert len(server.asked) == fetch.ATTEMPTS


def test_a_server_that_cannot_be_reached_is_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unfetched, match="refused"):
        get(Wanted("http://127.0.0.1:9/file", "file.tgz", SHA256, 5), tmp_path / "part")


def test_a_download_can_be_cancelled(server: Server, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        get(server.wanted(), tmp_path / "part", cancel)


def test_files_that_the_user_downloaded_are_used(tmp_path: Path) -> None:
    wanted = Wanted("http://x/file.tgz", "file.tgz", SHA256, None)
    assert fetched_by_hand(wanted, tmp_path) is None
    (tmp_path / "file.tgz").write_bytes(CONTENT)
    assert fetched_by_hand(wanted, tmp_path) == tmp_path / "file.tgz"


def test_a_repacked_file_needs_a_hash_from_the_user(tmp_path: Path) -> None:
    wanted = Wanted("http://x/file.tgz", "file.tgz", "ab" * 32, None)
    (tmp_path / "file.tgz").write_bytes(CONTENT)
    with pytest.raises(Unfetched, match=f"has SHA-256 {SHA256}, not abab.*sha256sum file.tgz > file.tgz.sha256"):
        fetched_by_hand(wanted, tmp_path)
    (tmp_path / "file.tgz.sha256").write_text(f"{SHA256.upper()}  file.tgz\n")
    assert fetched_by_hand(wanted, tmp_path) == tmp_path / "file.tgz"
    (tmp_path / "file.tgz").write_bytes(CONTENT[1:])
    with pytest.raises(Unfetched, match=f"not {SHA256}"):
        fetched_by_hand(wanted, tmp_path)


def test_names_and_addresses_of_downloads() -> None:
    assert name_in("http://x.org/a/b%20c.tar?download=1") == "b c.tar"
    assert direct_address("https://x.org/a.tgz") == "https://x.org/a.tgz"
    drive = "https://drive.google.com/uc?export=download&id=1GDr1_x-k"
    assert direct_address(drive) == (
        "https://drive.usercontent.google.com/download?id=1GDr1_x-k&export=download&confirm=t"
    )


def test_a_repacked_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    for level in (1, 9):
        path.write_bytes(gzip.compress(CONTENT, level))
        assert unpacked_sha256(path) == SHA256
    path.write_bytes(path.read_bytes()[:-9])
    assert unpacked_sha256(path).startswith("none (Compressed file ended")
    path.write_bytes(b"no gzip")
    assert unpacked_sha256(path) == "none (Not a gzipped file (b'no'))"
