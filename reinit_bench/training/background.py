"""Writing in the background: the training goes on while a checkpoint, a copy, is written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor


class BackgroundWriter:
    """Runs one job at a time in a thread, in the order in which they come.

    Jobs get copies (`snapshot`), never what the training goes on changing. An error of a job is raised by the next call
    of `submit` or `wait`, in the thread that calls.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Start `job`, once the one before has ended."""
        self.wait()
        # No daemon: a process that leaves without waiting still writes it to the end.
        self._thread = threading.Thread(target=self._run, args=(job,), name="background-writer")
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being written.

        Raises:
            StoreError: whatever the last job raised.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # raised where somebody can act on it
            self._error = error


def snapshot(value: Any) -> Any:
    """A copy of a nest of dicts, lists, tuples and tensors; other values are taken to be constant.

    Tensors are copied where they lie: on a GPU that waits for nothing, and the writer brings them to the host.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    return type(value)(snapshot(item) for item in value) if isinstance(value, (list, tuple)) else value
