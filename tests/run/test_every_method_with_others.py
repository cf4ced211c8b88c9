"""Every method with every other network, and with other norms: two rounds, cut and resumed, end with the same bits.

A new yaml in conf/method or conf/model is tested without being named here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import METHOD_FILES
from method_contract import OTHERS, check


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHOD_FILES))
@pytest.mark.parametrize("model", OTHERS)
def test_two_rounds_that_are_cut_and_resumed_end_with_the_same_bits(model: str, method: str, tmp_path: Path) -> None:
    check(model, method, tmp_path)
