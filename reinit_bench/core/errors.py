"""What may be shown: an error in one line, and text without what a terminal takes for a command."""

from __future__ import annotations

import difflib
import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def plain(text: str) -> str:
    """The text with U+FFFD for each character that is none: control characters, turns of direction, halves."""
    return text if text.isprintable() else _UNPRINTABLE.sub("\ufffd", text)


def in_one_line(error: BaseException) -> str:
    """The message of an error that is meant for users; of any other its kind, its message and its place.

    The place is the last line of the user's own code that was being run, or else of this package.
    """
    text = plain(" ".join(str(error).split()))
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] == _PACKAGE.name:
        return text or type(error).__name__
    place = _place(error)
    return ": ".join(filter(None, [type(error).__name__, text])) + (f" ({place})" if place else "")


def choose_from(name: str, allowed: Iterable[str]) -> str:
    """What to do about a name that is none of these: `did you mean lw? choose one of bl, fc, lw`."""
    allowed = list(allowed)
    near = difflib.get_close_matches(name, allowed, n=1)
    return "".join(f"did you mean {other}? " for other in near) + f"choose one of {', '.join(allowed)}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(_PACKAGE)]
    users = [
        frame
        for frame in frames
        if frame not in ours and not frame.filename.startswith((*_LIBRARIES, "<")) and frame.lineno is not None
    ]
    last = (users or ours)[-1:]
    return "".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)
