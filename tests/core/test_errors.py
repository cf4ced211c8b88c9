"""Errors in one line, with the user's own place."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from reinit_bench.core.errors import in_one_line
from reinit_bench.core.settings import ConfigError
from reinit_bench.models.parameters import kernel_names

OWN = "def lookup(blocks):\n    return blocks['blocks.9']\n\ndef deep(torch, names):\n    torch.zeros(2).view(3)\n"


def caught(call: object, *arguments: object) -> Exception:
    try:
        call(*arguments)  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_line_of_the_users_own_code_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    spec = importlib.util.spec_from_file_location("own", tmp_path / "own.py")
    assert spec is not None
    assert spec.loader is not None
    own = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)
    assert in_one_line(caught(own.lookup, {})) == "KeyError: 'blocks.9' (own.py:2)"
    assert in_one_line(caught(own.deep, torch, ())).startswith("RuntimeError: shape '[3]' is invalid")
    assert in_one_line(caught(own.deep, torch, ())).endswith("(own.py:5)")


def test_what_is_meant_for_users_is_left_as_it_is() -> None:
    assert in_one_line(ConfigError("seed must be\n a whole number")) == "seed must be a whole number"
    assert in_one_line(FileNotFoundError(2, "No such file", "x")) == "[Errno 2] No such file: 'x'"


def test_a_mistake_of_ours_is_placed_in_the_package() -> None:
    error = caught(kernel_names, None)
    assert in_one_line(error).startswith("AttributeError: 'NoneType' object has no attribute 'named_parameters' (")
