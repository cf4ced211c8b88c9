"""TFDS's own part: a builder at the pinned version, from upstream's archives to TFDS's files."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.preparing.archives import Archives
from reinit_bench.data.preparing.job import Job

TFDS = f"TensorFlow Datasets {tfds.__version__}"


def open_builder(job: Job, work: Path) -> Any:
    """The builder at the job's version.

    Raises:
        ConfigError: TFDS has no such builder, configuration or version, or its examples are not an image with a label.
    """
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    logging.getLogger("absl").setLevel(logging.ERROR)
    _check_name(job)
    name = f"{job.name}:{job.version}" if job.version else job.name
    try:
        builder = tfds.builder(name, data_dir=work / "tfds")
    except (ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0].rpartition('}": ')[2]
        raise ConfigError(f"{TFDS} has no {name} ({reason})") from error
    if job.version not in (None, str(builder.version)):
        raise ConfigError(f"{job.name}: version {job.version} is needed, but TFDS gives {builder.version}")
    _check_features(job, builder.info.features)
    return builder


def _check_name(job: Job) -> None:
    """Raise ConfigError, with names that are near, if there is no such builder or configuration."""
    # Those of a community are listed by a server: without a network, asking it takes minutes.
    names = tfds.list_builders(with_community_datasets=False)
    if job.builder not in names:
        raise ConfigError(f"{TFDS} has no builder {job.builder!r}{_near(job.builder, names)}")
    configs = tfds.builder_cls(job.builder).builder_configs
    if job.config is not None and job.config not in configs:
        what = f"no configuration {job.config!r}" if configs else "no configurations"
        raise ConfigError(f"{TFDS}: {job.builder} has {what}{_near(job.config, configs)}")


def _near(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, names, n=5)
    return f"; near it: {', '.join(found)}" if found else ""


def _check_features(job: Job, features: Any) -> None:
    """Raise ConfigError unless an example is one uint8 image with one class number, at a size that can be stored."""
    named: dict[str, Any] = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    image: Any = named.get("image")
    label: Any = named.get("label")
    usable = isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel)
    if not usable or label.num_classes is None or image.np_dtype != np.uint8:
        kinds = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in named.items())
        raise ConfigError(
            f"{job.title} is not made of 8-bit images with one class each, 'image' (Image) and 'label' (ClassLabel); "
            f"its features are {kinds or type(features).__name__}"
        )
    if job.source.stored_size is None and None in image.shape[:2]:
        raise ConfigError(
            f"{job.title}: its images differ in size; set dataset.stored_size=224 dataset.stored_enlarged=248, "
            "here and in runs"
        )


def prepared(job: Job, builder: Any, work: Path, console: Console) -> None:
    """Download and extract the archives and let the builder write its files.

    Raises:
        ConfigError: a file cannot be downloaded, or an archive is not what the builder expects.
    """
    archives = Archives(job, dict(builder.url_infos or {}), console)
    archives.drop_corrupt()
    _check_fetched_by_hand(job, builder, archives.manual)
    console.out(f"{job.title}: TensorFlow Datasets is preparing it (a few minutes for photos)")
    config = tfds.download.DownloadConfig(
        extract_dir=work / "extracted",
        # Only where it is needed: TFDS would take any file from there and refuse its hash.
        manual_dir=archives.manual if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else None,
        try_download_gcs=False,
        override_max_simultaneous_downloads=4,
    )
    try:
        # TFDS announces on standard output what its bars and our messages say better.
        with archives.serving(), contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_dir=archives.folder, download_config=config)
    except Exception as error:
        if archives.failures:
            raise archives.error() from error
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{job.title}: TFDS could not read its files: {reason}") from error
    finally:
        for leftover in (archives.folder / job.builder).glob("*.tmp.*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _check_fetched_by_hand(job: Job, builder: Any, folder: Path) -> None:
    """Raise ConfigError if TFDS downloads nothing by itself and its folder is empty."""
    how = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if how and not (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"{job.title} must be downloaded by hand, into {folder}: {' '.join(how.split())}")
