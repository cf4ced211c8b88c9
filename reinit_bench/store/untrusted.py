"""Whether the files of a run that someone else has sent are what a run leaves, before anything else reads them."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any

import yaml

from reinit_bench.core.config import Experiment
from reinit_bench.store.store import BELONGING, CONFIG, DIAGNOSTICS, HISTORY, RESULT, ROUNDS, parsed_result

MOST_TEXT = 2**20
"""Bytes of a result or a configuration."""

MOST_ARRAYS = 64 * 2**20
"""Bytes of a run's diagnostics when they are unpacked."""

DEEPEST = 20
"""Levels of a configuration."""

_KINDS: Mapping[str, tuple[type, ...]] = {
    "rounds": (int,),
    "steps": (int,),
    "wall_seconds": (int, float),
    "attempts": (int, NoneType),
    "versions": (dict,),
    "git_commit": (str, NoneType),
    "device": (str,),
    "study": (str, NoneType),
}
"""What a result holds besides what every reader of one checks."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def checked_run(run_id: str, files: Mapping[str, bytes]) -> Experiment:
    """The experiment of a finished run with these files.

    Nothing in them is unpickled, imported or called. That the checksums agree shows that the files are whole, not that
    the numbers are true: whoever writes a result can seal it.

    Raises:
        ValueError: they are not a finished run's; the message says in a few words what is wrong.
    """
    for name in (RESULT, CONFIG):
        if len(files.get(name, b"")) > MOST_TEXT:
            raise ValueError(f"{name} is larger than {MOST_TEXT:,} bytes")
    try:
        result = parsed_result(files[RESULT], run_id)
        _check_result(result, files)
        experiment = _experiment(result["config"])
        if experiment.run_id != run_id:
            raise ValueError(f"its configuration has the run id {experiment.run_id} (edited, or an older protocol)")
        if CONFIG in files:
            _check_config(files[CONFIG], result["config"])
        for name in (ROUNDS, HISTORY):
            _check_lines(name, files.get(name, b""))
        if DIAGNOSTICS in files:
            _check_arrays(files[DIAGNOSTICS])
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return experiment


def _check_result(result: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name in BELONGING}
    known = result.get("files", hashes)
    if known != hashes:
        names = sorted({*hashes, *known}) if isinstance(known, dict) else [RESULT]
        wrong = next((name for name in names if name not in hashes or known.get(name) != hashes[name]), RESULT)
        raise ValueError(f"{wrong} is not the file whose checksum its result has")
    for key, kinds in _KINDS.items():
        if not isinstance(result.get(key), kinds):
            raise ValueError(f"{key} is {result.get(key)!r}")
    json.dumps(result, allow_nan=False)  # a ValueError for a number that is none
    # What is printed may go to a terminal, to which a control character is a command.
    strange = next((text for text in _texts(result) if not text.isprintable()), None)
    if strange is not None:
        raise ValueError(f"it holds text that cannot be printed: {strange!a:.60}")


def _texts(value: Any) -> Iterator[str]:
    """All text in a value read from JSON, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _experiment(config: Mapping[str, Any]) -> Experiment:
    try:
        experiment = Experiment.from_dict(config)
        _ = experiment.run_id, experiment.title
    except Exception as error:  # whatever a field of the wrong kind leads to
        raise ValueError(f"its configuration cannot be used: {' '.join(str(error).split())}") from error
    return experiment


def _check_config(content: bytes, config: Mapping[str, Any]) -> None:
    """That the YAML says what the result says."""
    try:
        depth = 0
        for event in yaml.parse(content, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            # A few aliases can stand for more values than fit into memory.
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise ValueError(f"{CONFIG} has aliases or more than {DEEPEST} levels")
        same = json.loads(json.dumps(yaml.load(content, Loader=_LOADER))) == config
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(f"{CONFIG} is not YAML") from error
    if not same:
        raise ValueError(f"{CONFIG} is not the configuration in {RESULT}")


def _check_lines(name: str, content: bytes) -> None:
    plain = (str, int, float, NoneType)
    try:
        for line in io.BytesIO(content):
            row = json.loads(line)
            if not isinstance(row, dict) or not all(isinstance(value, plain) for value in row.values()):
                raise ValueError("a line is no row of plain values")
    except ValueError as error:
        raise ValueError(f"{name} cannot be used: {error}") from error


def _check_arrays(content: bytes) -> None:
    """That every array is as large as its file says; otherwise reading one could fill the memory."""
    import numpy as np

    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_ARRAYS:
                raise ValueError(f"larger than {MOST_ARRAYS:,} bytes")
            for member in archive.infolist():
                with archive.open(member) as stream:
                    shape, _, dtype = readers[np.lib.format.read_magic(stream)](stream)
                    size = math.prod(shape) * dtype.itemsize
                    if dtype.hasobject or min(shape, default=0) < 0 or len(stream.read()) != size:
                        raise ValueError("an array is not as its header says")
    except Exception as error:  # an archive with errors raises many kinds
        raise ValueError(f"{DIAGNOSTICS} cannot be used: {' '.join(str(error).split())}") from error
