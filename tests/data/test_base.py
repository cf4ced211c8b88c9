"""What every dataset has is written in conf/base once, with the defaults of the classes."""

from __future__ import annotations

from dataclasses import fields

import pytest

from reinit_bench.core.conf_dir import option_section
from reinit_bench.data.source import Source
from reinit_bench.data.tfds_source import Tfds


@pytest.mark.parametrize(
    ("option", "kind", "more"), [("digits", Source, set()), ("cifar10", Tfds, {"prepare", "data_dir"})]
)
def test_a_base_gives_every_field_with_the_default_of_its_class(option: str, kind: type, more: set[str]) -> None:
    section = option_section("dataset", option) or {}
    usual = {spec.name: spec.default for spec in fields(kind)}
    names = {spec.name for spec in fields(Source)} | more
    assert {name: section[name] for name in names} == {name: usual[name] for name in names}
