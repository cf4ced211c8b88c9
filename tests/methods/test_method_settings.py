"""Errors for values that a method cannot take."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.bl import Baseline
from reinit_bench.methods.dsd import Dsd
from reinit_bench.methods.fc import Fc
from reinit_bench.methods.lw import Lw
from reinit_bench.methods.wels import Wels
from reinit_bench.methods.welsr import Welsr

SHARE = "method.fraction must be a number above 0 and at most 1; got "
RANDOM = "method.selection must be one of tensor, network, bernoulli; got "
SCHEDULE = "method.schedule must be a list of block numbers, or null; got "
BLOCKS = "method.schedule must hold block numbers from 1; got "


@pytest.mark.parametrize(
    ("kind", "setting", "message"),
    [
        (Baseline, {"repeats": 0}, "method.repeats must be a whole number of at least 1; got 0"),
        (Lw, {"repeats": 1.5}, "method.repeats must be a whole number of at least 1; got 1.5"),
        (Lw, {"repeats": True}, "method.repeats must be a whole number of at least 1; got True"),
        (Wels, {"fraction": 0}, SHARE + "0"),
        (Welsr, {"fraction": 1.01}, SHARE + "1.01"),
        (Dsd, {"fraction": -0.2}, SHARE + "-0.2"),
        (Dsd, {"fraction": "0.2"}, SHARE + "'0.2' (text; of a variable: '${oc.decode:${oc.env:NAME}}')"),
        (Wels, {"selection": "row"}, RANDOM + "'row'"),
        (Welsr, {"selection": None}, RANDOM + "None"),
        (Dsd, {"selection": "bernoulli"}, "method.selection must be one of tensor, network; got 'bernoulli'"),
        (Wels, {"scope": "biases"}, "method.scope must be one of kernels, all; got 'biases'"),
        (Dsd, {"fill": "ones"}, "method.fill must be one of initializer, zeros; got 'ones'"),
        (Fc, {"extent": "all"}, "method.extent must be one of dense, head; got 'all'"),
        (Fc, {"layerwise": 1}, "method.layerwise must be true or false; got 1"),
        (Lw, {"rescale": "yes"}, "method.rescale must be true or false; got 'yes'"),
        (Lw, {"rescale_unit": "net"}, "method.rescale_unit must be one of layer, block; got 'net'"),
        (Lw, {"rescale_scope": "norms"}, "method.rescale_scope must be one of kernels, all; got 'norms'"),
        (Lw, {"sample_examples": 0}, "method.sample_examples must be a whole number of at least 1; got 0"),
        (Lw, {"first_round": "extra"}, "method.first_round must be one of layerwise, plain; got 'extra'"),
        (Lw, {"schedule": []}, SCHEDULE + "[]"),
        (Lw, {"schedule": 3}, SCHEDULE + "3"),
        (Lw, {"schedule": "12"}, SCHEDULE + "'12'"),
        (Lw, {"schedule": [1, 0]}, BLOCKS + "[1, 0]"),
        (Lw, {"schedule": [1.0]}, BLOCKS + "[1.0]"),
        (Lw, {"schedule": [True, 2]}, BLOCKS + "[True, 2]"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(kind: type, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        kind(**setting)


def test_whole_numbers_written_as_floats_are_accepted() -> None:
    assert (Lw(repeats=3.0).repeats, Wels(fraction=1).fraction) == (3, 1.0)
    assert Lw(schedule=[1, 2]).schedule == (1, 2)
