"""What the paper printed: its datasets, models, methods and settings in its own order, and its tables as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from reinit_bench.core.settings import ConfigError

DATASETS = (
    "OXFORD-IIIT",
    "DOGS",
    "FMNIST",
    "CARS196",
    "MNIST-COR",
    "CIFAR10-COR",
    "CIFAR10",
    "CALTECH101",
    "CASSAVA",
    "CMATERDB",
    "BIRDS2010",
    "CIFAR100",
)
"""Labels of the twelve datasets, in the order of Tables 2, 6 and 7."""

MODELS = ("scnn", "vgg16", "mobilenet", "resnet50")
"""The four architectures, in the order of Tables 2, 6 and 7."""

LETTERS: Mapping[str, str] = {"bl": "B", "welsr": "R", "dsd": "D", "wels": "W", "fc": "F", "lw": "L"}
"""The six methods, each with the letter that heads its column, in the paper's order."""

INITIALIZERS = ("he_normal", "xavier_uniform")
"""The two initializers of Table 3."""

LEGEND = "B: BL (the baseline), R: WELSR, D: DSD, W: WELS, F: FC, L: LW"

SETTINGS: Mapping[str, Any] = {
    "image_size": 224,
    "model.width": 1.0,
    "model.norm": "group",
    "model.conv_bias": None,
    "model.padding": "symmetric",
    "model.grouping": "joined",
    "initializer.depthwise_fan_in": "window",
    "augmentation.enlarge_from": "original",
    "dataset.label_noise": 0.0,
    "dataset.clean_validation": False,
    "dataset.imbalance": 1.0,
    "dataset.growth": None,
    "dataset.stages": None,
    "dataset.stages_by": "image",
    "dataset.validation_examples": None,
    "trainer.optimizer": "sgd",
    "trainer.sam_radius": 0.05,
    "trainer.schedule": "plateau",
    "trainer.warmup_steps": 0,
    "trainer.lr": 0.003,
    "trainer.momentum": 0.9,
    "trainer.weight_decay": 1e-5,
    "trainer.batch_size": 256,
    "trainer.max_steps": 100_000,
    "method.fraction": 0.2,
    "method.repeats": 1,
    "method.rescale": True,
    "method.normalize": True,
    "method.reinitialize": True,
    "method.freeze": False,
}
"""What the paper says of the runs behind Tables 2, 6 and 7 (Section 3, Algorithm 1, Appendix B.1),
by the names that users type; and what holds there of conditions that came after it."""


@dataclass(frozen=True)
class Condition:
    """What sets Tables 2, 6 and 7 apart; all three use the He normal initializer."""

    augmentation: str
    dropout_rate: float
    words: str
    initializer: str = "he_normal"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The condition by the columns of a collection's frame."""
        return {name: getattr(self, name) for name in ("augmentation", "dropout_rate", "initializer")}


CONDITIONS: Mapping[int, Condition] = {
    2: Condition("mild", 0.0, "with augmentation, without dropout"),
    6: Condition("none", 0.0, "without augmentation, without dropout"),
    7: Condition("mild", 0.25, "with augmentation and dropout 0.25"),
}


def order_key(name: str, order: Sequence[str]) -> tuple[int, str]:
    """A key that sorts the names in `order` as they are there, and a user's own after them alphabetically."""
    return (order.index(name) if name in order else len(order)), name


def setting_key(dataset_label: str, train_examples: float | None, model: str) -> tuple[Any, ...]:
    """A key that sorts datasets, their sizes and architectures: the paper's in its order, whole datasets before cut."""
    cut = 0.0 if train_examples is None or pd.isna(train_examples) else train_examples
    return *order_key(dataset_label, DATASETS), cut, *order_key(model, MODELS)


def ordered_models(names: Iterable[str]) -> list[str]:
    """Distinct architectures, the paper's first."""
    return sorted(set(names), key=lambda name: order_key(name, MODELS))


def folder() -> Path:
    """Where the published numbers are: inside an installed package, or under `results/` of a checkout.

    Raises:
        ConfigError: they are in neither place; the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[2]
    places = (package / "paper", package.parent / "results" / "paper")
    for place in places:
        if place.is_dir():
            return place
    raise ConfigError(f"the published numbers are in neither {places[0]} nor {places[1]}; install reinit-bench again")


@cache
def _read(number: int) -> pd.DataFrame:
    return pd.read_csv(folder() / f"table{number}.csv", keep_default_na=number != 3)


def published(number: int) -> pd.DataFrame:
    """One published table in long form, as `results/paper/README.md` describes it; a damaged number is NaN.

    Accuracies are in percent, but for Table 4, which is in fractions as printed. `reconstructed` is what a damaged cell
    of Table 2, 6 or 7 must have held. Table 3's `mark` is `star`, `circle` or empty text.
    """
    return _read(number).copy()


@cache
def published_accuracy(number: int, *, reconstructed: bool = False) -> Mapping[tuple[str, str, str], float | None]:
    """Table 2, 6 or 7 by (dataset label, model, method), in percent; None where the scan is damaged.

    Args:
        reconstructed: whether damaged cells have the value that they must have held, where that is certain.
    """
    table = published(number)
    values = table["accuracy"].fillna(table["reconstructed"]) if reconstructed else table["accuracy"]
    cells = zip(table["dataset"], table["model"], table["method"], values, strict=True)
    return {(dataset, model, name): None if pd.isna(value) else float(value) for dataset, model, name, value in cells}
