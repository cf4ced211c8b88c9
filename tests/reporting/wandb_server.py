"""A server that keeps what `wandb` sends to it; it knows as much of W&B's protocol as `wandb sync` needs."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Upload:
    """What one file of a run came to."""

    run: dict[str, Any]
    """name, displayName, groupName, project, entity, config."""
    is_resumed: bool
    """Whether `wandb` asked first what the server has of this run, to go on from there."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None
    is_preempted: bool = False
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> list[int]:
        return [row["_step"] for row in self.rows]

    def column(self, name: str) -> dict[int, Any]:
        """The values of this name by their step."""
        return {row["_step"]: row[name] for row in self.rows if name in row}


class WandbServer(http.server.ThreadingHTTPServer):
    """Listens on this machine alone.

    Attributes:
        uploads: in the order in which they came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.uploads: list[Upload] = []
        self._is_resumed = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away without a word, as `wandb` does, is no error."""

    def answer(self, path: str, body: str) -> dict[str, Any]:
        """Take a request and give its answer."""
        if path.endswith("graphql"):
            query = json.loads(body)
            return {"data": self._data(query.get("operationName"), query["query"], query.get("variables") or {})}
        if path.endswith("file_stream"):
            self._take(self.uploads[-1], json.loads(body))
        if path.endswith("wandb-summary.json"):
            self.uploads[-1].summary = json.loads(body)
        return {}

    def _data(self, name: str, text: str, variables: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "p", "name": "mine", "entity": {"id": "e", "name": "lab"}}
        if name == "RunResumeStatus":
            self._is_resumed = True
            return {"model": {"id": "p", "name": "mine", "entity": project["entity"], "bucket": None}}
        if "upsertBucket" in text:
            if variables["displayName"]:  # the first of an upload's two
                self.uploads.append(Upload(variables, self._is_resumed))
                self._is_resumed = False
            bucket = {"id": "b", "name": variables["name"], "historyLineCount": 0, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.url}/{file}"} for file in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        return {"viewer": {"id": "v", "entity": "lab", "username": "me", "flags": "{}", "teams": {"edges": []}}}

    def _take(self, upload: Upload, stream: dict[str, Any]) -> None:
        lines = stream.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        upload.rows += [json.loads(line) for line in lines]
        upload.is_preempted |= bool(stream.get("preempting"))
        if stream.get("complete"):
            upload.exit_code = stream["exitcode"]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert isinstance(self.server, WandbServer)
        reply = json.dumps(self.server.answer(self.path, body.decode(errors="replace"))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """A server that answers while the block runs."""
    with WandbServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
