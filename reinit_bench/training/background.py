"""Writing in the background: training continues while a copy of its state is written as a checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor


class BackgroundWriter:
    """Runs jobs in a thread, one at a time, in the order in which they are submitted.

    Jobs get copies (`snapshot`), never objects that the training keeps changing. A job's error is raised by the next
    call of `submit` or `wait`, in the thread that calls.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Start `job` once the previous one has ended.

        Raises:
            StoreError: whatever the previous job raised.
        """
        self.wait()
        # Not a daemon: a process that exits without waiting still finishes writing.
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
        except BaseException as error:  # raised later, where the caller can act on it
            self._error = error


def snapshot(value: Any) -> Any:
    """A copy of nested dicts, lists, tuples and tensors; other values are taken to be constant.

    Tensors are copied on their own device: on a GPU this waits for nothing, and the writer brings them to the host.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    return type(value)(snapshot(item) for item in value) if isinstance(value, (list, tuple)) else value
