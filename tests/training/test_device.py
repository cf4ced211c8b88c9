"""Which device trains, and what bf16 and fp32 mean on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from training_helpers import RecordingObserver, mlp, train, vector_task

from reinit_bench.core.settings import ConfigError
from reinit_bench.training.device import choose_device, set_up_arithmetic
from reinit_bench.training.step import evaluate


@pytest.fixture
def arithmetic_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back torch's global settings, which are all that `set_up_arithmetic` changes."""
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "allow_tf32", cudnn.allow_tf32)
    monkeypatch.setattr(cudnn, "benchmark", cudnn.benchmark)
    monkeypatch.setattr(cudnn, "deterministic", cudnn.deterministic)
    precision, deterministic = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    yield
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


@pytest.mark.parametrize(
    ("name", "has_gpu", "chosen"),
    [("auto", False, "cpu"), ("auto", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_device_names(monkeypatch: pytest.MonkeyPatch, name: str, has_gpu: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert choose_device(name) == torch.device(chosen)


def test_cuda_without_a_gpu_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device=cuda, but torch finds no CUDA device here; use device=auto or"):
        choose_device("cuda")


@pytest.mark.usefixtures("arithmetic_restored")
def test_fp32_is_fp32_and_a_gpu_is_held_to_repeatable_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set, then deleted: so that the variable is gone after the test as well.
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    torch.set_float32_matmul_precision("high")
    set_up_arithmetic(torch.device("cpu"))
    assert torch.get_float32_matmul_precision() == "highest"
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = False
    set_up_arithmetic(torch.device("cuda"))
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.deterministic
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_bf16_trains_near_fp32_with_weights_in_fp32() -> None:
    curves, last_losses = {}, {}
    for precision in ("fp32", "bf16"):
        net = mlp()
        observer = RecordingObserver(net)
        result, _ = train(net, vector_task(), steps=10, precision=precision, observer=observer)
        curves[precision], last_losses[precision] = observer.losses, result.test_loss
        assert {value.dtype for value in net.state_dict().values()} == {torch.float32}
        # The result is evaluated in the run's precision.
        assert result.test_loss == evaluate(net, vector_task(), "test", precision).loss
    assert all(a != b for a, b in zip(curves["fp32"], curves["bf16"], strict=True))
    assert curves["bf16"] == pytest.approx(curves["fp32"], rel=0.03)
    assert last_losses["bf16"] != last_losses["fp32"]
