"""What a folder of images holds: its classes, its files, and a fingerprint that identifies its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.core.settings import ConfigError


@dataclass(frozen=True)
class Listing:
    """The files of a folder of images.

    Attributes:
        root: the folder.
        classes: class names, sorted; their positions are the class numbers.
        train: relative path and class number of each training image, sorted by path; of all images if the folder has
            no test split.
        test: the same for the test split; None if the folder has none.
        content: 16 hex digits that depend on the relative paths and sizes of all files.
        state: 16 hex digits that depend on the files' modification times as well.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...] | None
    content: str
    state: str


def scan(path: str | Path) -> Listing:
    """List `path`: `train/<class>/...` and `test/<class>/...`, or one tree `<class>/...`. Hidden files do not count.

    Raises:
        ConfigError: it is not a folder, has no images in class folders, or tests on a class that it does not train on.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise ConfigError(f"dataset.path must be a folder of images; {root} is not a folder")
    split = (root / "train").is_dir() and (root / "test").is_dir()
    train = _class_files(root / "train" if split else root)
    test = _class_files(root / "test") if split else None
    if not train:
        raise ConfigError(f"{root} must hold train/<class>/ and test/<class>/, or <class>/, with images in them")
    classes = tuple(sorted(train))
    if unknown := sorted(set(test or ()) - set(classes)):
        raise ConfigError(f"{root}/test has a class {unknown[0]!r} that {root}/train does not have")
    files = [file for group in (train, test or {}) for members in group.values() for file in members]
    return Listing(
        root=root,
        classes=classes,
        train=_numbered(train, classes, root),
        test=None if test is None else _numbered(test, classes, root),
        content=_digest(files, root, times=False),
        state=_digest(files, root, times=True),
    )


def folder_content(path: str | None) -> str | None:
    """The fingerprint of the folder at `path`, for `${folder_content:...}` in a configuration; None if there is none.

    With it, runs on different images have different ids, and runs on the same images the same, wherever the folder is.
    """
    try:
        return scan(path).content if path else None
    except ConfigError:
        return None


def _class_files(folder: Path) -> dict[str, list[Path]]:
    """Files below each folder in `folder`, at any depth; folders without files are not classes."""
    found = {}
    for group in folder.iterdir():
        if group.is_dir() and not group.name.startswith("."):
            files = [file for file in group.rglob("[!.]*") if file.is_file()]
            if files:
                found[group.name] = files
    return found


def _numbered(groups: dict[str, list[Path]], classes: tuple[str, ...], root: Path) -> tuple[tuple[str, int], ...]:
    pairs = ((file, number) for number, name in enumerate(classes) for file in groups.get(name, ()))
    return tuple(sorted((file.relative_to(root).as_posix(), number) for file, number in pairs))


def _digest(files: list[Path], root: Path, *, times: bool) -> str:
    lines = []
    for file in files:
        status = file.stat()
        words = [file.relative_to(root).as_posix(), str(status.st_size), *([str(status.st_mtime_ns)] if times else [])]
        lines.append("\0".join(words))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
