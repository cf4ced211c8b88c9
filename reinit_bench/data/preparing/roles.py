"""Which of a builder's splits is trained on, validated on and tested on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reinit_bench.core.settings import ConfigError

NONE = "none"
"""In place of a validation split: there is none, and examples of the training split are held out."""


def roles(wanted: Mapping[str, str | None], present: Iterable[str]) -> dict[str, str]:
    """The split that serves as train, as test and, if there is one, as validation.

    What `wanted` leaves open is the split of that name. Without a test split, the validation split is the test split;
    without either it is train, of which a part is then held out.

    Raises:
        ConfigError: there is no such split, or one would serve twice.
    """
    present = list(present)
    named = {"train": "train", **{part: split for part, split in wanted.items() if split is not None}}
    for part, split in named.items():
        if split not in present and (part, split) != ("validation", NONE):
            raise ConfigError(f"it has no split {split!r} for {part}; its splits are {', '.join(present)}")
    if len(set(named.values())) < len(named):
        chosen = ", ".join(f"{part} is {split}" for part, split in named.items())
        raise ConfigError(f"one split cannot serve twice: {chosen}")
    taken = set(named.values())
    if "test" not in named:
        named["test"] = next((split for split in ("test", "validation") if split in {*present} - taken), "train")
    if "validation" not in named and "validation" in {*present} - {*named.values()}:
        named["validation"] = "validation"
    return {part: named[part] for part in ("train", "validation", "test") if named.get(part, NONE) != NONE}
