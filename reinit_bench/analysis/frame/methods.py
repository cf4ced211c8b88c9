"""What the files of the methods say of them: their families, their order, their looks and their defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from reinit_bench.analysis.frame import paper
from reinit_bench.core.conf_dir import option_file

PAPERS = tuple(paper.LETTERS)
"""The paper's six, in its order."""

FAMILIES = ("paper", "control", "at rounds", "while training")
"""`_family_` of a method, in the order of tables: the paper's; controls, without which it cannot be said what a reset
is good for; methods that change the network at a round's start, as the paper's do; those that act while it trains."""


def method_file(method: str) -> Mapping[str, Any]:
    """What the method's option file says; nothing where there is none."""
    path = option_file("method", method)
    return _content(path) if path else {}


def method_order(name: str) -> tuple[int, float, str]:
    """A key that sorts methods by family, in a family by `_order_`; those of no family come last, alphabetically."""
    known = method_file(name)
    family = known.get("_family_")
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), known.get("_order_", float("inf")), name


def ordered_methods(names: Iterable[str]) -> list[str]:
    """Distinct methods in the order that every table and figure has."""
    return sorted(set(names), key=method_order)


@cache
def _content(path: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return content
