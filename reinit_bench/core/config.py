"""One experiment, frozen: its parts, their validation and its run id. Knows neither torch nor Hydra."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from reinit_bench.core.absent import ABSENT_VALUES, absent_values
from reinit_bench.core.errors import plain
from reinit_bench.core.settings import CONTENT, OUTSIDE_IDENTITY, SOURCE, ConfigError, Settings, checked, setting

PROTOCOL_VERSION = 1
"""Part of every run id: raised when a code change alters what a configuration means."""

SECTIONS = ("dataset", "model", "method", "augmentation", "dropout", "initializer")
"""The parts of an experiment that are chosen by name, one yaml per option."""

_PLAIN = ("seed", "image_size", "precision")
_EXECUTION = (
    "results_dir",
    "device",
    "compile",
    "compiled_layers",
    "logger",
    "study",
    "trial",
    "sealed",
    "diagnostics",
)
_DROPOUT_RATE = setting(0.0, least=0, below=1).metadata
_KEYS = frozenset((*SECTIONS, "trainer", *_PLAIN, *_EXECUTION))


@dataclass(frozen=True, kw_only=True)
class Trainer(Settings):
    """How one round is trained (Section 3 and Appendix B.1; the defaults are those of docs/explanation/protocol.md)."""

    section: ClassVar[str] = "trainer"

    optimizer: str = setting("sgd", choices=("sgd", "adam", "adamw", "rmsprop", "sam", "muon"))
    """sgd; adam, with the penalty in the gradient; adamw, with decoupled decay; rmsprop; sam: sgd at the worst point
    nearby; muon: orthogonalized momentum for kernels, adamw for norms, biases and the head."""
    lr: float = setting(0.003, above=0)
    """The initial learning rate in every round."""
    momentum: float = setting(0.9, least=0, below=1)
    """Momentum of sgd and sam; Adam's betas and RMSprop's smoothing constant are torch's."""
    sam_radius: float = setting(0.05, above=0)
    """How far away `sam` looks (its authors' rho)."""
    schedule: str = setting("plateau", choices=("plateau", "cosine", "constant"))
    """Of the learning rate within a round: halved on a plateau; a cosine over all `max_steps`; constant.

    A cosine's round takes all its steps. Each round has its own schedule.
    """
    warmup_steps: int = setting(0, least=0)
    """Steps at a round's start over which the learning rate rises linearly."""
    weight_decay: float = setting(1e-5, least=0)
    """Penalty on kernels (not on biases or norms)."""
    weight_decay_form: str = setting("l2", choices=("l2", "sgd"))
    """l2: the loss gains weight_decay * sum(w^2), whose gradient is 2 * weight_decay * w; sgd: weight_decay * w.

    adamw and muon know only their own: w shrinks by lr * weight_decay * w.
    """
    batch_size: int = setting(256, least=1)
    """Examples per step; a smaller training split is one batch, and an epoch's last batch may be smaller."""
    max_steps: int = setting(100_000, least=1)
    """Maximum steps of one round; the baseline's only round may take rounds * max_steps."""
    plateau_epochs: int = setting(20, least=1)
    """The learning rate is halved when the validation error has not improved for this many epochs."""
    lr_factor: float = setting(0.5, above=0, most=1)
    """Factor by which the learning rate is multiplied on a plateau."""
    patience_epochs: int | None = setting(60, least=1)
    """A round has converged when the validation error has not improved for this many epochs; null: never.

    Where nothing else looks at the validation split within a round (a constant rate or a cosine, the last weights),
    null also saves validating before the round's end.
    """
    validation_fraction: float = setting(0.1, least=0, below=1)
    """Share of the training split kept for validation; with 0 there is no early stopping and no halving."""
    round_weights: str = setting("best", choices=("best", "last"))
    """Which weights a round ends with: the best on validation, or the last."""
    optimizer_between_rounds: str = setting("fresh", choices=("fresh", "carry"))
    """Whether momentum and learning rate start fresh in each round or are carried over."""
    checkpoint_every: int = setting(1000, least=1, outside_identity=True)
    """Steps between checkpoints within a round (one more is written at every round's start)."""
    micro_batch: int | None = setting(None, least=1, outside_identity=True)
    """Examples that go through the network at once, to save memory; null: the whole batch. Equal up to rounding."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_fraction == 0 and self.round_weights == "best":
            raise ConfigError(
                "trainer.round_weights=best needs a validation split; "
                "set trainer.round_weights=last or a trainer.validation_fraction above 0"
            )
        if self.warmup_steps >= self.max_steps:
            raise ConfigError(
                f"trainer.warmup_steps must be below trainer.max_steps={self.max_steps}; got {self.warmup_steps}"
            )


_TRAINER_FIELDS = frozenset(spec.name for spec in fields(Trainer))


@dataclass(frozen=True, kw_only=True)
class Experiment(Settings):
    """dataset x model x method x augmentation x dropout x initializer x trainer x seed x image size x precision.

    The mappings are sections as written in conf/: `_target_`, `name`, hyperparameters, and descriptive keys that begin
    with an underscore. These are what the plan, the tables and the run id need to know of a class without importing it,
    since importing it takes seconds (torch) and may run a user's code:

    - `_label_`, `_letter_`: its name in tables, and one letter for narrow ones;
    - `_note_`: of a dataset that is a part or a resized copy, the sentence that stands under every table with it;
    - `_blocks_`, `_rounds_`: a model's K, and how many rounds a method has if it is not K x N;
    - `_giga_macs_`: a model's multiply-adds of one forward pass at 224 pixels, in billions;
    - `_min_image_size_`: the least pixels a side that a model takes;
    - `_source_`: of a class outside this package, the hash of its code (`core.source`), of one of this package under a
      name that is not its own, the class; put in when a run is planned;
    - `_content_`: of a dataset whose class is outside this package, the fingerprint of its data; put in likewise;
    - `_outside_identity_`: fields that are not in the run id; `_absent_`: of a class outside this package, what the
      absence of a field meant (`core.absent`).

    Raises:
        ConfigError: a part is missing, mistyped or out of range, or the images are too small for the model.
    """

    dataset: Mapping[str, Any]
    model: Mapping[str, Any]
    method: Mapping[str, Any]
    augmentation: Mapping[str, Any]
    dropout: Mapping[str, Any]
    initializer: Mapping[str, Any]
    trainer: Trainer
    seed: int = setting(0, least=0)
    image_size: int | None = setting(None, least=1)
    """Side of the square images that the model sees, in pixels; null for data that are not images."""
    precision: str = setting("fp32", choices=("fp32", "bf16"))
    """fp32, or bf16: forward and backward passes under autocast to bfloat16, weights and norms in fp32."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checked("dropout.rate", self.dropout.get("rate"), float, _DROPOUT_RATE)
        if self.model.get("norm") == "batch":
            self._check_batches()
        smallest = self.model.get("_min_image_size_")
        if smallest is not None and (self.image_size is None or self.image_size < smallest):
            raise ConfigError(
                f"model {self.model['name']} needs image_size of at least {smallest}; got {self.image_size}"
            )

    def _check_batches(self) -> None:
        if self.trainer.batch_size == 1:
            raise ConfigError("model.norm=batch has no variance to normalize with in batches of one; raise batch_size")
        if self.trainer.micro_batch is not None:
            raise ConfigError(
                "trainer.micro_batch would normalize each part on its own with model.norm=batch; set it to null"
            )

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Experiment:
        """The experiment that a resolved configuration describes; execution keys are ignored."""
        strange = config.keys() - _KEYS
        if strange:
            raise ConfigError(f"there is no field {min(strange)!r}; --cfg job shows all sections and fields")
        missing = [name for name in (*SECTIONS, "trainer") if not isinstance(config.get(name), Mapping)]
        if missing:
            raise ConfigError(f"the configuration has no section {missing[0]!r}")
        for name in SECTIONS:
            if not isinstance(config[name].get("name"), str):
                raise ConfigError(f"section {name!r} has no name")
        given = {key: value for key, value in config["trainer"].items() if not key.startswith("_")}
        unknown = sorted(given.keys() - _TRAINER_FIELDS)
        if unknown:
            fields_text = ", ".join(sorted(_TRAINER_FIELDS))
            raise ConfigError(f"trainer has no field {unknown[0]!r}; its fields are {fields_text}")
        parts = {name: config[name] for name in (*SECTIONS, *_PLAIN) if name in config}
        return cls(**parts, trainer=Trainer(**given))

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dicts, fit for YAML and JSON; `from_dict` gives the experiment back."""
        return asdict(self)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What distinguishes this experiment from all others: its configuration without classes, paths and labels."""
        sections = {name: _section_identity(name, getattr(self, name)) for name in SECTIONS}
        plain = {"protocol": PROTOCOL_VERSION, **{name: getattr(self, name) for name in _PLAIN}}
        return {**plain, **sections, "trainer": _settings_identity(self.trainer)}

    @cached_property
    def run_id(self) -> str:
        """16 hex digits of the SHA-256 of the identity in canonical JSON."""
        _canonical([getattr(self, name).get(key) for name in SECTIONS for key in ("_label_", "_letter_")])  # are shown
        text = json.dumps(_canonical(self.identity), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """The experiment in a few words: `digits scnn lw seed 0`."""
        extra = [
            self.augmentation["name"] if self.augmentation["name"] != "none" else "",
            f"dropout {self.dropout['rate']:g}" if self.dropout["rate"] else "",
        ]
        model = self.model.get("_label_") or self.model["name"]  # which of torchvision's, too
        words = [self.dataset["name"], model, self.method["name"], *filter(None, extra)]
        return f"{' '.join(words)} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Execution(Settings):
    """Where and how an experiment runs: never part of its identity."""

    results_dir: Path = Path("results")
    device: str = setting("auto", choices=("auto", "cpu", "cuda"))
    compile: str = setting("auto", choices=("auto", "none", "inductor", "reduce-overhead", "aot_eager", "eager"))
    """What compiles the step: auto is inductor on a GPU, none on the CPU; reduce-overhead is inductor's mode for small
    networks on a GPU (CUDA graphs), not with `trainer.micro_batch`; the last two are for debugging."""
    compiled_layers: bool = True
    """Whether layers on the CPU may be computed by the functions in C, which differ from torch's by rounding."""
    logger: Mapping[str, Any] = field(default_factory=lambda: {"name": "none"})
    study: str | None = None
    trial: bool = False
    """Whether the run only helps to choose its study's settings: its seed is one of the study's `tuning_seeds`."""
    sealed: str | None = None
    """The hash of its study's parts, where the study is sealed (`seal`)."""
    diagnostics: bool = True
    """Whether margins, sharpness and sizes are measured at the run's end; never changes the result."""

    def __post_init__(self) -> None:
        if not isinstance(self.results_dir, (str, Path)):
            raise ConfigError(f"results_dir must be a folder's path; got {self.results_dir!r}")
        # Empty as the variable REINIT_BENCH_RESULTS may be: not set.
        object.__setattr__(self, "results_dir", Path(self.results_dir or "results").expanduser())
        super().__post_init__()
        checked("logger", self.logger.get("name"), str, {"choices": ("auto", "wandb", "none")})

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Execution:
        """The execution part of a resolved configuration."""
        given = {key: config[key] for key in _EXECUTION if key in config}
        study = config.get("study")
        if isinstance(study, Mapping):
            trial = config.get("seed") in (study.get("tuning_seeds") or ())
            given |= {"study": study.get("name"), "trial": trial, "sealed": seal(study)}
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; `from_dict` gives the execution back."""
        return {**{name: getattr(self, name) for name in _EXECUTION}, "results_dir": str(self.results_dir)}


def seal(study: Mapping[str, Any]) -> str | None:
    """16 hex digits of the SHA-256 of all that a study's file states, comments apart; None if it states no `analysis`.

    Whoever reads the file: numbers count as such however they are written (`1e-5` is text to some readers of YAML).
    """
    if not study.get("analysis"):
        return None
    text = json.dumps(_canonical(_numbers(study)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers(item) for item in value]
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
        return " ".join(value.split())
    return value


def _section_identity(group: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """A section without descriptive keys, fields outside the identity, and fields at the value that absence meant."""
    absent = absent_values(group, section)
    outside = set(section.get("_outside_identity_") or ())
    kept = {
        key: value
        for key, value in section.items()
        if not key.startswith("_") and key not in outside and not (key in absent and value == absent[key])
    }
    return kept | {key: section[key] for key in (SOURCE, CONTENT) if section.get(key)}


@cache
def _settings_identity(settings: Settings) -> dict[str, Any]:
    absent = ABSENT_VALUES.get(settings.section, {})
    inside = [spec.name for spec in fields(settings) if not spec.metadata.get(OUTSIDE_IDENTITY)]
    values = {name: getattr(settings, name) for name in inside}
    return {name: value for name, value in values.items() if name not in absent or value != absent[name]}


def _canonical(value: Any) -> Any:
    """Numbers that are equal are written alike (1 and 1.0), tuples as lists."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str) and plain(value) != value:
        raise ConfigError(f"names and settings must be text that can be printed; got {value!a}")
    if value is None or isinstance(value, (str, int)):  # most values; tested before the slower Mapping
        return value
    if isinstance(value, Mapping):
        return {_canonical(key): _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, (list, tuple)) else value
