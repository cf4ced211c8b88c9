"""What a method's settings are where nobody changes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from reinit_bench.core.conf_dir import conf_dir


@cache
def method_defaults(method: str) -> Mapping[str, Any]:
    """The settings of a method's option file by column; none for a user's own, whose file may lie anywhere."""
    path = conf_dir() / "method" / f"{method}.yaml"
    if not path.is_file():
        return {}
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {f"method.{key}": value for key, value in content.items() if not key.startswith("_") and key != "name"}
