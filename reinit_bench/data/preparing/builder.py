"""TFDS's own part: a builder at the pinned version, from upstream's archives to TFDS's files."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.preparing.downloads import Cancelled, Downloads, download_progress, downloads_through
from reinit_bench.data.preparing.fetch import Unfetched
from reinit_bench.data.preparing.job import Job


def open_builder(job: Job, work: Path) -> Any:
    """The builder at the job's version.

    Raises:
        ConfigError: TFDS has no such builder, configuration or version.
    """
    tfds.disable_progress_bar()
    logging.getLogger("absl").setLevel(logging.ERROR)
    name = f"{job.builder}/{job.config}" if job.config else job.builder
    try:
        builder = tfds.builder(f"{name}:{job.version}", data_dir=work / "tfds")
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"TensorFlow Datasets {tfds.__version__} has no {name}:{job.version} ({reason})") from error
    if str(builder.version) != job.version:
        raise ConfigError(f"{name}: version {job.version} is needed, but TFDS gives {builder.version}")
    return builder


def prepared(job: Job, builder: Any, work: Path, console: Console) -> None:
    """Download and extract the archives and let the builder write its files.

    Raises:
        ConfigError: a file cannot be downloaded, or an archive is not what the builder expects.
    """
    with download_progress(console) as progress:
        downloads = Downloads(job, dict(builder.url_infos), progress)
        for name in downloads.drop_corrupt():
            console.out(f"corrupt: the downloaded file {name} has changed; downloading it again")
        console.out(f"{job.title}: TensorFlow Datasets is preparing it (a few minutes for photos)")
        config = tfds.download.DownloadConfig(
            extract_dir=work / "extracted", try_download_gcs=False, override_max_simultaneous_downloads=4
        )
        try:
            # TFDS announces on standard output what our bars and messages say better.
            with downloads_through(downloads), contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare(download_dir=downloads.folder, download_config=config)
        except Exception as error:
            if downloads.failures or isinstance(error, (Unfetched, Cancelled)):
                raise downloads.error() from error
            raise ConfigError(f"{job.title}: TFDS could not read its files: {type(error).__name__}: {error}") from error
        finally:
            for leftover in (downloads.folder / job.builder).glob("*.tmp.*"):
                shutil.rmtree(leftover, ignore_errors=True)
