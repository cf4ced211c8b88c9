"""The command `reinit-bench`: a bare first word names a sub-command; everything else is Hydra's."""

from __future__ import annotations

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from reinit_bench.cli.help import answer_shell, help_text, is_query
from reinit_bench.cli.output import lasting_output
from reinit_bench.cli.words import is_multirun, readable, split_config_flags
from reinit_bench.core.conf_dir import conf_dir, conf_dirs, config_name, own_config
from reinit_bench.core.errors import choose_from, in_one_line, plain
from reinit_bench.core.settings import ConfigError
from reinit_bench.core.version import __version__

if TYPE_CHECKING:
    from types import FrameType

    from omegaconf import DictConfig

    from reinit_bench.core.config import Execution, Experiment

FULL_ERROR = "HYDRA_FULL_ERROR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: success; 1: an error, reported in one line; 2: the command line could not be read; 75: interrupted with a
    checkpoint written, from which the same command resumes; 130 and 143: interrupted or terminated outside training.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _one_line_warning
    with lasting_output():
        return _guarded(lambda: _dispatch(words))


def _dispatch(words: list[str]) -> int:
    if is_query(words):
        return _complete(words)
    words, folder, name = split_config_flags(words)
    _look_in_working_directory_last()
    with own_config(folder, name):
        try:
            return _answer(words)
        except Exception as error:  # while it is known which folders are the user's
            about = _about_a_file(error)
            if about is None:
                raise
            raise ConfigError(about) from error


def _answer(words: list[str]) -> int:
    if words[:1] in (["-h"], ["--help"]):
        print(help_text())
        return 0
    if words[:1] == ["--version"]:
        print(f"reinit-bench {__version__}")
        return 0
    if words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        from reinit_bench.cli.commands import run_command

        return run_command(words)
    return _hydra(readable(words))


def _look_in_working_directory_last() -> None:
    """A user's own method or model may be there; but a random.py must not take the place of Python's."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise ConfigError("the folder in which this was typed has been deleted; change to another (cd)") from None
    sys.path[:] = [*(path for path in sys.path if path not in ("", here)), here]


def _complete(words: list[str]) -> int:
    """Answer a shell that asks for completions; an error would be printed into the line that is being typed."""
    if answer_shell():
        with suppress(Exception):
            _hydra(words)
    return 0


def _hydra(words: list[str]) -> int:
    """Compose with Hydra and run one experiment, or with -m a sweep."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from reinit_bench.cli.compose import VERSION_BASE, as_axes

    composed: list[tuple[DictConfig, str]] = []

    def keep(config: DictConfig) -> None:
        composed.append((config, str(HydraConfig.get().runtime.choices["hydra/launcher"])))

    # Hydra only composes: it would wrap errors raised inside its task in lines of its own.
    app = hydra.main(config_path=str(conf_dir()), config_name=config_name(), **VERSION_BASE)(keep)
    if any(map(is_multirun, words)):
        _check_sweeper(words)
        # First: after a field, Hydra's parser would take it for the end of the fields.
        words = ["-m", *as_axes([word for word in words if not is_multirun(word)])]
    before = sys.argv
    sys.argv = [before[0], *words]
    try:
        app()
    finally:
        sys.argv = before
    for config, launcher in composed:  # none after a sweep, --cfg or the like
        if launcher != "local":
            raise ConfigError(f"hydra/launcher={launcher} starts sweeps: add -m (leave the launcher out to run here)")
        _run_composed(config)
    return 0


def _check_sweeper(words: list[str]) -> None:
    """Raise ConfigError where another sweeper than ours would be given a study, which it takes for one run."""
    chosen = [word for word in words if word.startswith("hydra/sweeper=")]
    if any(word.startswith("study=") for word in words) and not {*chosen} <= {"hydra/sweeper=study"}:
        raise ConfigError(f"{chosen[-1]} cannot run a study; leave it out, or leave study= out")


def _run_composed(config: DictConfig) -> None:
    """One experiment in this process."""
    from omegaconf import OmegaConf

    from reinit_bench.sweep.plan import PlannedRun
    from reinit_bench.sweep.studies import Study

    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    resolved = {str(key): value for key, value in plain.items()}
    if not Study.from_dict(resolved["study"], lambda name: {"name": name, "grids": [{}]}).is_one_run:
        raise ConfigError(f"study={resolved['study']['name']} is many runs; add -m to run them all")
    run = PlannedRun.from_dict(resolved)
    _run_one(run.experiment, run.execution)


def _run_one(experiment: Experiment, execution: Execution) -> None:
    from reinit_bench.reporting.console import RunConsole, accuracies
    from reinit_bench.store.store import CorruptResult, Store

    folder = Store(execution.results_dir).run(experiment.run_id)
    try:
        result = folder.result()
    except CorruptResult:
        result = None  # the run reports it and sets it aside
    if result is not None:
        folder.tidy()
        words = accuracies(test=result["test_accuracy"], validation=result["validation_accuracy"])
        print("  ".join([f"{experiment.title}: already done:", *words, str(folder.path)]))
        return
    from reinit_bench.reporting.loggers import logger_observer
    from reinit_bench.run.experiment import run_experiment
    from reinit_bench.training.interrupt import interrupt_on_signals
    from reinit_bench.training.observer import Observers

    display, logger = RunConsole(), logger_observer(execution.logger, execution.results_dir)
    try:
        with interrupt_on_signals() as interrupt:
            # The display comes last, so that its closing line is printed last.
            watchers = Observers(*filter(None, [logger]), display)
            run_experiment(experiment, execution, observer=watchers, interrupt=interrupt)
    finally:
        display.close()
        if logger is not None:
            logger.close()


def _guarded(run: Callable[[], int | None]) -> int:
    """Call `run`; whatever goes wrong becomes one line on standard error and an exit code.

    Hydra is made to raise its exceptions (HYDRA_FULL_ERROR), so that they are put into words only here; a user who sets
    the variable gets the traceback.
    """
    wants_traceback = os.environ.get(FULL_ERROR, "0") not in ("", "0")
    os.environ[FULL_ERROR] = "1"
    # Like Ctrl-C, so that temporary folders are cleared away; runs and sweeps have handlers of their own.
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        return run() or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        from reinit_bench.training.interrupt import EXIT_INTERRUPTED, Interrupted

        if isinstance(error, Interrupted):
            return EXIT_INTERRUPTED
        if wants_traceback:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2 if hasattr(error, "format_message") else 1  # the former from the sub-commands' parser
    finally:
        signal.signal(signal.SIGTERM, before)
        if not wants_traceback:
            os.environ.pop(FULL_ERROR, None)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    print("terminated", file=sys.stderr)
    sys.exit(128 + number)


def one_line(error: Exception) -> str:
    """The error in one line, without a traceback: what went wrong, what is allowed, what to do."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if option and error.options:
            return f"{group}={option}: there is no such {group}; {choose_from(option, error.options)}"
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and cause.full_key and isinstance(cause.parent_node, DictConfig):
        fields = ", ".join(str(key) for key in cause.parent_node if not str(key).startswith("_"))
        section, _, name = str(cause.full_key).rpartition(".")
        whose = cause.parent_node.get("name") if section else None
        if isinstance(whose, str):
            return f"{section} {whose} has no field {name!r}; its fields are {fields}"
        return f"there is no field {cause.full_key}; the fields there are {fields}"
    if isinstance(error, OverrideParseException):
        key, equals, _ = error.override.partition("=")
        if not equals:
            return f"cannot read {error.override!r}; fields are set with NAME=VALUE, and reinit-bench --help lists them"
        return f"cannot read {error.override!r}; put values with special characters in quotes: '{key}=\"VALUE\"'"
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    if several := re.match(r"Ambiguous value for argument '([^']+)'", text):
        return f"{several[1]} is several values, and one run takes one; for a run with each: -m {several[1]}"
    if hasattr(error, "format_message"):  # from the sub-commands' parser
        return f"{text.rstrip('.')}; for a sub-command's arguments and options: reinit-bench NAME --help"
    if isinstance(error, (ConfigError, OSError, ValueError)) or type(error).__module__.startswith(
        ("hydra", "omegaconf", "reinit_bench")
    ):
        return text
    return f"{in_one_line(error)}; HYDRA_FULL_ERROR=1 shows the traceback"


def _about_a_file(error: Exception) -> str | None:
    """What is wrong with a file of options, if that is what the error is about."""
    from hydra.errors import MissingConfigException

    if isinstance(error, UnicodeDecodeError):
        for file in (file for folder in conf_dirs() for file in sorted(folder.rglob("*.yaml"))):
            try:
                file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                return f"{file} is not UTF-8 text; save it in that encoding"
    missing = error.missing_cfg_file if isinstance(error, MissingConfigException) else None
    if missing or "'.yml'" in str(error):  # Hydra 1.4 names the ending and not the file
        for folder in conf_dirs():
            for file in sorted(folder.glob(f"{missing}.yml" if missing else "**/*.yml")):
                return f"{file} must be called {file.stem}.yaml"
    return None


def _one_line_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    print(f"warning: {plain(' '.join(str(message).split()))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
