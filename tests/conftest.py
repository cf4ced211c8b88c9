from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reinit_bench.cli.compose import Composer

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
if not Path("/dev/nvidiactl").exists():
    # Without a GPU, Triton's kernels run in its interpreter, which must be chosen before Triton is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """With small tensors, threads cost more than they gain; and with one thread, sums have one order.

    Tests of commands that work without torch do not import it for this.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def the_same_global_draws() -> None:
    """Networks of other packages draw from torch's global state: without a seed a test would differ from run to run."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture
def compiled_layers(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Uses the layers compiled from C on any processor that can run them; counts the calls of each function."""
    from compiled_layers import obstacle, use_compiled_layers

    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    return use_compiled_layers(monkeypatch)


@pytest.fixture(scope="session")
def hydra_composer() -> Iterator[Composer]:
    """One composer for all tests that compose."""
    from reinit_bench.cli.compose import composer

    with composer() as built:
        yield built
