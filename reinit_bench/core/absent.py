"""What the absence of a field meant in runs made before the field existed, so that the ids of those runs stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reinit_bench.core.source import PACKAGE

_KERNELS = {"fresh_scale": 1.0}
_NETWORK = {"norm": "group", "conv_bias": None}
_SPLIT = {"validation_examples": None}
_IMAGES = {"label_noise": 0.0, "clean_validation": False, "imbalance": 1.0, "growth": None, **_SPLIT}

ABSENT_VALUES: Mapping[str, Mapping[str, Any]] = {
    "dataset": {"stages": None, "stages_by": "image"},
    "trainer": {"optimizer": "sgd", "sam_radius": 0.05, "schedule": "plateau", "warmup_steps": 0},
    "dataset.Digits": _IMAGES,
    "dataset.ImageFolder": _IMAGES,
    "dataset.Synthetic": _IMAGES,
    "dataset.Tfds": _IMAGES,
    "dataset.TfdsByName": _SPLIT,
    "model.Scnn": _NETWORK,
    "model.Vgg16": _NETWORK,
    "model.MobileNet": {**_NETWORK, "padding": "symmetric", "grouping": "joined"},
    "model.ResNet50": {**_NETWORK, "padding": "symmetric"},
    "method.Dsd": _KERNELS,
    "method.Fc": _KERNELS,
    "method.Lw": {**_KERNELS, "rescale_scope": "kernels"},
    "method.Redo": {"score": "activity"},
    "method.Wels": _KERNELS,
    "method.Welsr": _KERNELS,
    "augmentation.Mild": {"enlarge_from": "original"},
    "initializer.HeNormal": {"depthwise_fan_in": "window"},
}
"""By section, for any class, and within it by the class of this package; a field at this value is not in the run id."""


def absent_values(group: str, section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of a section's fields; a class of a user's own has them in its yaml, as `_absent_`."""
    package, _, path = str(section.get("_target_")).partition(".")
    ours = ABSENT_VALUES.get(f"{group}.{path.rpartition('.')[2]}", {}) if package == PACKAGE else {}
    return {**ABSENT_VALUES.get(group, {}), **ours, **(section.get("_absent_") or {})}
