"""Which data a run is about, where its settings do not say it: their fingerprint enters its id when it is planned."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from reinit_bench.core.settings import CONTENT, ConfigError, instantiate
from reinit_bench.core.source import PACKAGE
from reinit_bench.data.folder_scan import folder_content

ASKED = ("reinit_bench.data.image_folder.ImageFolder", "reinit_bench.data.tfds_source.TfdsByName")
"""The classes of this package whose data are a user's; they keep the fingerprint in their field `content`."""


def with_content(section: Mapping[str, Any], image_size: int | None, seed: int) -> Mapping[str, Any]:
    """A resolved section `dataset` that holds the fingerprint of its data; one that holds it already is left alone.

    Raises:
        ConfigError: the data cannot be read; without a fingerprint all such data would be one run.
    """
    target = str(section.get("_target_"))
    key = "content" if target.partition(".")[0] == PACKAGE else CONTENT
    if section.get(key) is not None or (key == "content" and target not in ASKED):
        return section
    found = _asked(_Hashed(section), image_size, seed)
    return section if found is None else {**section, key: found}


def forget() -> None:
    """Ask for all fingerprints anew: data may have changed since."""
    folder_content.cache_clear()
    _asked.cache_clear()


class _Hashed(dict[str, Any]):
    """A section as the key of a cache: a study's thousands of runs share a few."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


@cache
def _asked(section: _Hashed, image_size: int | None, seed: int) -> str | None:
    name = section.get("name")
    source = instantiate(section, "dataset")
    try:
        found: str | None = source.fingerprint(image_size, seed)
    except ConfigError:
        raise
    except Exception as error:  # of a user's own class
        raise ConfigError(f"dataset {name} cannot be read: {type(error).__name__}: {error}") from error
    return found
