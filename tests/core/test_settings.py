"""Fields with ranges, and building what a section describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from reinit_bench.core.settings import ConfigError, Settings, instantiate, setting


@dataclass(frozen=True, kw_only=True)
class Sample(Settings):
    section: ClassVar[str] = "sample"

    share: float = setting(0.5, above=0, most=1)
    count: int | None = setting(None, least=1)
    name: str = setting("a", choices=("a", "b"))
    on: bool = setting(True)


def test_whole_numbers_become_floats_and_the_other_way_round() -> None:
    sample = Sample(share=1, count=3.0)
    assert (type(sample.share), type(sample.count)) == (float, int)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"share": 0}, "sample.share must be a number above 0 and at most 1; got 0"),
        ({"share": float("nan")}, "sample.share must be a number above 0 and at most 1; got nan"),
        ({"share": None}, "sample.share must be a number above 0 and at most 1; got None"),
        ({"count": 2.5}, "sample.count must be a whole number of at least 1 (or null); got 2.5"),
        ({"count": "3"}, "sample.count must be a whole number of at least 1 (or null); got '3' (text; of a variable: "),
        ({"count": 0}, "sample.count must be a whole number of at least 1 (or null); got 0"),
        ({"name": "c"}, "sample.name must be one of a, b; got 'c'"),
        ({"on": 1}, "sample.on must be true or false; got 1"),
    ],
)
def test_values_out_of_range_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Sample(**given)  # type: ignore[arg-type]
    assert str(error.value).startswith(message)


@dataclass(frozen=True, kw_only=True)
class Period(Settings):
    every: int | str = setting(10, least=1, choices=("round", "run"))


def test_a_field_with_limits_and_choices_takes_a_number_or_a_word() -> None:
    assert [Period(every=every).every for every in (2, 3.0, "round")] == [2, 3, "round"]
    for bad in (0, "epoch", None, True):
        with pytest.raises(ConfigError, match=r"^every must be a whole number of at least 1 or round or run; got "):
            Period(every=bad)  # type: ignore[arg-type]


def test_a_section_builds_its_class_without_names_and_descriptions() -> None:
    section = {"_target_": f"{__name__}.Sample", "name": "x", "_label_": "X", "share": 0.25}
    # `name` is the option's name in conf/, not a field of the class.
    assert instantiate(section, "sample") == Sample(share=0.25)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "x"}, "sample has no _target_ naming its class"),
        ({"_target_": "no.such.Thing", "name": "x"}, "sample: cannot import no.such.Thing: No module named 'no'"),
        (
            {"_target_": f"{__name__}.Sample", "name": "x", "sharre": 1},
            "sample x has no field 'sharre'; its fields are share, count, name, on",
        ),
    ],
)
def test_a_section_that_cannot_be_built_says_why(section: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        instantiate(section, "sample")
    assert str(error.value).startswith(message)
