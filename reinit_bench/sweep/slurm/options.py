"""What a user can set about a sweep on SLURM: the fields of conf/hydra/launcher/slurm.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError, Settings, setting


@dataclass(frozen=True, kw_only=True)
class Workers(Settings):
    """The processes that do a sweep's runs in one place: on this machine, or in a task.

    Raises:
        ConfigError: a field has a wrong value, or two of them say how many processes there are.
    """

    section: ClassVar[str] = "hydra.launcher"

    workers: int | None = setting(None, least=1)
    """Worker processes; null: `workers_per_gpu` for each GPU, or without GPUs one per CPU core (in a task: one)."""
    workers_per_gpu: int | None = setting(None, least=1)
    """How many of them share a GPU; null: one. Not with `workers`."""
    threads: int | None = setting(None, least=1)
    """CPU threads of each; null: the cores divided among the workers."""
    retry: Any = "all"
    """Which failed runs to run again: all, none, or kinds of error as `status` names them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers is not None and self.workers_per_gpu is not None:
            raise ConfigError(
                "hydra.launcher.workers is how many processes there are in all, hydra.launcher.workers_per_gpu how "
                "many each GPU has: give one of them"
            )


@dataclass(frozen=True, kw_only=True)
class Resources(Settings):
    """What one array task requests from the cluster."""

    section: ClassVar[str] = "hydra.launcher"

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    """As sbatch accepts it, e.g. gpu:a100:1; replaces `gpus`."""
    gpus: int = setting(1, least=0)
    """GPUs of a task; 0: the runs use the CPU."""
    cpus: int = setting(8, least=1)
    """CPU cores of a task."""
    mem_gb: float | None = setting(32.0, above=0)
    """Memory of a task in GiB; null: the cluster's default."""
    minutes: int = setting(240, least=1)
    """Time limit of a task. A task that reaches it writes checkpoints and is requeued."""

    @property
    def gpu_count(self) -> int:
        """GPUs that a task sees: those that `gres` names (`gpu:a100:2,nvme:1` are two; a share of one is one)."""
        if not self.gres:
            return self.gpus
        whole = re.findall(r"(?:^|,)\s*(?:gres[:/])?gpu(?::[^,:]*?)??(?::(\d+))?(?=,|$)", self.gres)
        shared = re.findall(r"(?:^|,)\s*(?:gres[:/])?(?:mps|shard)\b", self.gres)
        return sum(int(count or 1) for count in whole) + len(shared)


@dataclass(frozen=True, kw_only=True)
class Options(Workers, Resources):
    """How a sweep is cut into array tasks, and what each of them requests.

    Raises:
        ConfigError: a field has a wrong value; a resource class is malformed.
    """

    target_minutes: int = setting(120, least=1)
    """Runs that share dataset and model are packed into one task up to this estimated time."""
    max_parallel: int = setting(64, least=1)
    """Maximum number of tasks that run at once."""
    signal_seconds: int = setting(120, least=1)
    """How long before the time limit a task is told to write its checkpoints."""
    max_requeues: int = setting(50, least=0)
    """How often a task may be requeued; after that, it is left for the same command to resume."""
    wait: bool = False
    """Whether to wait until all runs have ended."""
    poll_seconds: float = setting(10.0, above=0)
    """Seconds between looks at the queue while waiting."""
    setup: Any = field(default_factory=list)
    """Shell lines that each task runs first."""
    python: str | None = None
    """The words that start Python in a task, e.g. apptainer exec --nv reinit-bench.sif python; null: this Python."""
    extra: Any = field(default_factory=dict)
    """Further sbatch options, by their long names."""
    classes: Any = field(default_factory=list)
    """Resources for some runs: a list of {when: {model: resnet50}, mem_gb: 64}; the first that matches applies."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_minutes > self.minutes:
            raise ConfigError(
                f"hydra.launcher.target_minutes ({self.target_minutes}) must not be above hydra.launcher.minutes "
                f"({self.minutes}), a task's time limit"
            )
        if isinstance(self.setup, str) or not all(isinstance(line, str) for line in self.setup):
            raise ConfigError(f"hydra.launcher.setup must be a list of shell lines; got {self.setup!r}")
        if not isinstance(self.extra, Mapping):
            raise ConfigError(f"hydra.launcher.extra must map sbatch options to values; got {self.extra!r}")
        for item in self.classes:
            _check_class(item)

    @classmethod
    def from_fields(cls, given: Mapping[str, Any]) -> Options:
        """The options that the launcher's configuration gives.

        Raises:
            ConfigError: there is no such field, or a value is wrong.
        """
        check_known("hydra.launcher", given, [spec.name for spec in fields(cls)])
        return cls(**given)

    def sharing(self, resources: Resources) -> int:
        """How many worker processes share a GPU in a task with these resources."""
        gpus = resources.gpu_count
        if not gpus:
            return 1
        return self.workers_per_gpu or (-(-self.workers // gpus) if self.workers else 1)

    def lead_seconds(self, resources: Resources) -> int:
        """How long before its limit a task is told to stop: `signal_seconds`, but at most a quarter of the limit."""
        return min(self.signal_seconds, 15 * resources.minutes)

    def resources(self, experiment: Experiment) -> Resources:
        """What a run's task requests: the fields outside `classes`, with those of the first class that matches."""
        own = {spec.name: getattr(self, spec.name) for spec in fields(Resources)}
        for item in self.classes:
            if all(_name_of(experiment, axis) in _as_list(names) for axis, names in item["when"].items()):
                return replace(Resources(**own), **{key: value for key, value in item.items() if key != "when"})
        return Resources(**own)


def check_known(where: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise ConfigError if one of these fields is not known."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(f"{where} has no field {unknown[0]!r}; its fields are {', '.join(known)}")


def _check_class(item: Any) -> None:
    if not isinstance(item, Mapping) or not isinstance(item.get("when"), Mapping):
        raise ConfigError(
            f"hydra.launcher.classes must be a list like [{{when: {{model: resnet50}}, mem_gb: 64}}]; got {item!r}"
        )
    check_known("hydra.launcher.classes", item, ["when", *(spec.name for spec in fields(Resources))])
    check_known("when of hydra.launcher.classes", item["when"], ("dataset", "model", "method", "image_size"))
    Resources(**{key: value for key, value in item.items() if key != "when"})


def _name_of(experiment: Experiment, axis: str) -> Any:
    return experiment.image_size if axis == "image_size" else getattr(experiment, axis)["name"]


def _as_list(values: Any) -> Sequence[Any]:
    return values if isinstance(values, (list, tuple)) else [values]
