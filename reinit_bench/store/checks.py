"""What the files of a run must be: every field by kind and range, whoever wrote them, before anything uses them.

Nothing is unpickled, imported or called. That the checksums agree shows that the files are whole, not that the numbers
are true: whoever writes a result can seal it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import yaml

from reinit_bench.core.config import Experiment
from reinit_bench.core.errors import plain

CONFIG, ROUNDS, HISTORY, DIAGNOSTICS = "config.yaml", "rounds.jsonl", "history.jsonl", "diagnostics.npz"
RESULT = "result.json"
BELONGING = (CONFIG, ROUNDS, HISTORY, DIAGNOSTICS)
"""Files of a finished run whose hashes its result holds."""

MOST_TEXT = 2**20
"""Bytes of a result or a configuration."""

MOST_ARRAYS = 64 * 2**20
"""Bytes of a run's diagnostics when they are unpacked."""

DEEPEST = 20
"""Levels of a configuration."""

_SEAL = ',\n "sha256": "'
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times as fast, if available

_NUMBER = (int, float)
_PLAIN = (str, int, float, bool, NoneType)
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("config", "versions", "files"), (dict,)),
    **dict.fromkeys(("run_id", "device", "weights_sha256", "state", "host", "token", "error_kind"), (str,)),
    **dict.fromkeys(("boot_id", "pid_namespace", "time_namespace"), (str,)),
    **dict.fromkeys(("git_commit", "study", "content", "error", "slurm_job"), (str, NoneType)),
    **dict.fromkeys(("rounds", "round", "stages", "stage", "index", "block", "repeat", "epoch", "epochs"), (int,)),
    **dict.fromkeys(("step", "steps", "total_step", "attempt", "pid", "began", "beats"), (int,)),
    **dict.fromkeys(("attempts", "threads"), (int, NoneType)),
    **dict.fromkeys(("test_accuracy", "train_accuracy", "mean_stage_accuracy"), _NUMBER),
    **dict.fromkeys(("wall_seconds", "heartbeat", "heartbeat_seconds", "started"), _NUMBER),
    **dict.fromkeys(("validation_accuracy", "clean_train_accuracy", "lr", "seconds"), (*_NUMBER, NoneType)),
    **dict.fromkeys(("train_loss", "validation_loss", "test_loss"), (*_NUMBER, NoneType)),
    "converged": (bool,),
    "trial": (bool, NoneType),
    "sealed": (str,),
}
"""What the fields of results, statuses and rows may be. No number is negative, and an accuracy is a fraction."""

_NEEDED = (
    *("run_id", "config", "test_accuracy", "validation_accuracy", "train_accuracy", "rounds", "steps"),
    *("wall_seconds", "versions", "git_commit", "device"),
)
"""Fields of every result."""

_DIMENSIONS: Mapping[str, int] = {
    **dict.fromkeys(("margins.smallest", "sharpness.sigma"), 1),
    **dict.fromkeys(("sharpness.accuracy", "sharpness.loss"), 2),
    **dict.fromkeys(("sharpness.accuracy_without", "sharpness.loss_without", "weights.size"), 0),
}
"""Of the arrays that figures use."""

_OF_ONE_LENGTH = ("sharpness.sigma", "sharpness.accuracy", "sharpness.loss")


def sealed(value: Mapping[str, Any]) -> str:
    """`value` as JSON whose last field, `sha256`, is the hash of all the text before it."""
    head = json.dumps(value, indent=1, allow_nan=False).removesuffix("\n}")
    return head + _seal_of(head.encode())


def _seal_of(head: bytes) -> str:
    return f'{_SEAL}{hashlib.sha256(head).hexdigest()}"\n}}\n'


def _printable(value: Any) -> Any:
    """A value read from JSON whose texts are `plain`."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def parsed_result(content: bytes, run_id: str) -> dict[str, Any]:
    """What a `result.json` says; results of older versions have neither seal nor hashes.

    Raises:
        ValueError: it is not a result, or not this run's; the message says in a few words what is wrong.
    """
    if len(content) > MOST_TEXT:
        raise ValueError(f"{RESULT} is larger than {MOST_TEXT:,} bytes")
    end = content.rfind(_SEAL.encode())
    if end >= 0 and content[end:] != _seal_of(content[:end]).encode():
        raise ValueError("its checksum does not match")
    result = _object(content)
    if "files" in result and end < 0:
        raise ValueError("its checksum is gone")
    missing = [key for key in _NEEDED if key not in result]
    if missing:
        raise ValueError(f"no {missing[0]!r}")
    _check_fields({key: value for key, value in result.items() if key in _KINDS})
    if result["run_id"] != run_id:
        raise ValueError(f"it belongs to run {result['run_id']}")
    result["versions"] = {name: str(number) for name, number in result["versions"].items()}
    return {key: value if key == "config" else _printable(value) for key, value in result.items()}


def parsed_status(content: bytes) -> dict[str, Any]:
    """What a `status.json` says, without what is of a wrong kind: nothing in it is worth stopping for."""
    try:
        status = _object(content)
    except ValueError:
        return {}
    right = {key: _printable(value) for key, value in status.items() if _is_right(key, value)}
    if right.get("error"):
        right["error"] = "\n".join(map(plain, status["error"].splitlines()))
    return right


def parsed_rows(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """The rows of a `rounds.jsonl` or `history.jsonl`.

    Raises:
        ValueError: a line is no row of plain values, or one of its values is of a wrong kind or out of range.
    """
    rows = _json(b"[" + b",".join(lines) + b"]")  # takes half of the time that line by line would
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError("a line is no row of plain values")
        _check_fields(row)
    found: list[dict[str, Any]] = rows
    return found


def parsed_arrays(content: bytes) -> dict[str, Any]:
    """The arrays of a `diagnostics.npz`.

    Raises:
        ValueError: it is damaged, too large, or holds something else than numbers and text.
    """
    import numpy as np  # only here and where arrays are written: `status` and `plan` do without it

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_ARRAYS:
                raise ValueError(f"larger than {MOST_ARRAYS:,} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
    except Exception as error:  # an archive with errors raises many kinds
        raise ValueError(" ".join(str(error).split())) from error
    for name, array in arrays.items():
        numbers = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
        if not numbers and not (isinstance(array, np.ndarray) and array.dtype.kind == "U"):
            raise ValueError(f"{plain(name)} holds neither numbers nor text")
        if name in _DIMENSIONS and (not numbers or array.ndim != _DIMENSIONS[name]):
            raise ValueError(f"{name} is not an array of {_DIMENSIONS[name]} dimensions")
        if ".accuracy" in name and numbers and not np.all((array >= 0) & (array <= 1)):
            raise ValueError(f"{plain(name)} holds what is not a fraction")
    if len({arrays[name].shape[-1] for name in _OF_ONE_LENGTH if name in arrays}) > 1:
        raise ValueError(f"{' and '.join(_OF_ONE_LENGTH)} do not belong together")
    return arrays


def parsed_config(content: bytes) -> dict[str, Any]:
    """The configuration in a `config.yaml`.

    Raises:
        ValueError: it is not YAML, or could stand for more values than fit into memory.
    """
    if len(content) > MOST_TEXT:
        raise ValueError(f"{CONFIG} is larger than {MOST_TEXT:,} bytes")
    depth = 0
    try:
        for event in yaml.parse(content, Loader=_YAML):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise ValueError(f"{CONFIG} has aliases or more than {DEEPEST} levels")
        config = yaml.load(content, Loader=_YAML)
    except yaml.YAMLError as error:
        raise ValueError(f"{CONFIG} is not YAML") from error
    if not isinstance(config, dict):
        raise ValueError(f"{CONFIG} holds no configuration")
    return config


def experiment_of(config: Mapping[str, Any], run_id: str) -> Experiment:
    """The experiment of a run with this stored configuration.

    Raises:
        ValueError: this version does not understand it, or it is another run's: edited, or of an older protocol.
    """
    try:
        if _printable(config) != config:  # what describes it is shown, too
            raise ValueError("it holds text that cannot be printed")
        experiment = Experiment.from_dict(config)
        found, _ = experiment.run_id, experiment.title
    except Exception as error:  # whatever a field of the wrong kind leads to
        raise ValueError(f"its configuration cannot be used: {plain(' '.join(str(error).split()))}") from error
    if found != run_id:
        raise ValueError(f"its configuration has the run id {found} (edited, or an older protocol)")
    return experiment


def check_run(run_id: str, files: Mapping[str, bytes]) -> None:
    """Check all files of a finished run.

    Raises:
        ValueError: they are not a finished run's; the message says in a few words what is wrong.
    """
    result = parsed_result(files[RESULT], run_id)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name in BELONGING}
    known = result.get("files", hashes)
    wrong = [name for name in sorted({*hashes, *known}) if hashes.get(name) != known.get(name)]
    if wrong:
        raise ValueError(f"{wrong[0]} is not the file whose checksum its result has")
    experiment_of(result["config"], run_id)
    if CONFIG in files and parsed_config(files[CONFIG]) != result["config"]:
        raise ValueError(f"{CONFIG} is not the configuration in {RESULT}")
    for name in sorted({ROUNDS, HISTORY, DIAGNOSTICS} & files.keys()):
        try:
            parsed_arrays(files[name]) if name == DIAGNOSTICS else parsed_rows(files[name].splitlines())
        except ValueError as error:
            raise ValueError(f"{name} cannot be used: {error}") from error


def _object(content: bytes) -> dict[str, Any]:
    value = _json(content)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _json(content: bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON ({error})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice")
    return found


def _check_fields(row: Mapping[str, Any]) -> None:
    for key, value in row.items():
        if not _is_right(key, value):
            what = "not a fraction" if key.endswith("accuracy") else "of a wrong kind or out of range"
            raise ValueError(f"{plain(key)} is {value!r:.60}, {what}")


def _is_right(key: str, value: Any) -> bool:
    kind = type(value)  # exactly: True is no number
    if kind not in _KINDS.get(key, _PLAIN):
        return False
    return kind not in _NUMBER or 0 <= value <= (1 if key.endswith("accuracy") else 2**53)
