"""What a folder of images holds: its splits, classes and files, and a fingerprint of their content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reinit_bench.core.machine import cores
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.locations import data_dir
from reinit_bench.store.files import StoreError, file_sha256, write_json

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the folders of splits may be called, in any case."""

NO_CLASSES = frozenset({"@eaDir", "__MACOSX", "lost+found", "#recycle", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"})
"""Names that operating systems and network drives leave; hidden names (a leading dot) do not count either."""

Files = Sequence[tuple[str, int]]
"""Relative path and class number of each image, sorted by path."""


@dataclass(frozen=True)
class Listing:
    """The files of a folder of images.

    Attributes:
        root: the folder.
        classes: class names, sorted; their positions are the class numbers.
        train: the training images; all images if the folder has no splits of its own.
        validation, test: those of the folder's own splits; None without such a split.
        hashes: SHA-256 of each file's content, by relative path.
        left_out: what does not count, each with the reason: links to nothing, folders reached a second time.
    """

    root: Path
    classes: tuple[str, ...]
    train: Files
    validation: Files | None
    test: Files | None
    hashes: Mapping[str, str]
    left_out: tuple[str, ...]

    @property
    def content(self) -> str:
        """16 hex digits that depend on every file's relative path and content, and on nothing else."""
        lines = (f"{path}\0{digest}" for path, digest in sorted(self.hashes.items()))
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]

    def counts(self, files: Files) -> dict[str, int]:
        """How many of these files each class has, by name."""
        found = Counter(number for _, number in files)
        return {name: found[number] for number, name in enumerate(self.classes)}


def scan(path: str | Path) -> Listing:
    """List `path`: `train/<class>/...`, `test/<class>/...` and if wanted `val/<class>/...`, or one tree `<class>/...`.

    Folders that links point to are read, each once. The content of a file is hashed when it is new or has changed.

    Raises:
        ConfigError: it is no folder, cannot be read, or its layout is none of these; the message says what to do.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise ConfigError(f"dataset.path must be a folder of images; {root} is not a folder{_other_form(root)}")
    folders = _split_folders(root)
    walk = _Walk(root, folders.values())
    if root not in folders.values():
        walk.left_out += [f"{path.name}: in no split" for path in _entries(root) if path not in folders.values()]
    groups = {split: walk.classes(folder) for split, folder in folders.items()}
    _check_layout(root, folders, groups)
    train = groups["train"]
    classes = tuple(sorted(train))
    names = [name for group in groups.values() for members in group.values() for name in members]
    return Listing(
        root=root,
        classes=classes,
        train=_numbered(train, classes),
        validation=_numbered(groups["validation"], classes) if "validation" in groups else None,
        test=_numbered(groups["test"], classes) if "test" in groups else None,
        hashes=_hashes(root, names),
        left_out=tuple(walk.left_out),
    )


@cache
def folder_content(path: str) -> str:
    """The fingerprint of the folder at `path`: it makes runs on other images other runs, wherever the folder lies.

    A folder is scanned once a process: a sweep of many runs asks for the same one again and again.
    """
    return scan(path).content


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; a tree without splits is all training images.

    A class may be called train or test: where other folders lie beside, a folder of a split is one that holds folders.
    """
    there = [path for path in _entries(root) if path.is_dir()]
    named = {path: name for path in there for name, words in SPLITS.items() if path.name.lower() in words}
    if len(named) < len(there):
        named = {path: name for path, name in named.items() if any(entry.is_dir() for entry in _entries(path))}
    found: dict[str, Path] = {}
    for folder, split in named.items():
        if split in found:
            raise ConfigError(
                f"{root} has two folders for one split, {found[split].name}/ and {folder.name}/; keep one"
            )
        found[split] = folder
    return found or {"train": root}


def _check_layout(root: Path, folders: Mapping[str, Path], groups: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Raise ConfigError unless it is clear what is trained on and what is tested on."""
    has_splits = root not in folders.values()
    if has_splits and not {"train", "test"} <= folders.keys():
        there = " and ".join(f"{folder.name}/" for folder in folders.values())
        missing = " and no ".join(f"{split}/" for split in ("train", "test") if split not in folders)
        hint = ""
        if "train" in folders:
            hint = f"; dataset.path={folders['train']} holds out a share of it for testing"
        raise ConfigError(f"{root} has {there} but no {missing}: add or rename a folder{hint}")
    for split, group in groups.items():
        if not group:
            where = f"{root} must hold train/<class>/ and test/<class>/, or <class>/, with images in them"
            raise ConfigError(f"{folders[split]} has no class folders with images; {where}" if has_splits else where)
        if unknown := sorted(set(group) - set(groups["train"])):
            known = {unicodedata.normalize("NFC", name): name for name in groups["train"]}
            twin = known.get(unicodedata.normalize("NFC", unknown[0]))
            hint = f"; its {_form(twin)} is another name than {_form(unknown[0])}: rename one" if twin else ""
            raise ConfigError(
                f"{folders[split]} has a class {unknown[0]!r} that {folders['train']} does not have{hint}"
            )
    if len(groups["train"]) < 2:
        (only,) = groups["train"]
        raise ConfigError(f"{folders['train']} has one class only, {only!r}; give each class a folder of its own")
    seen: dict[str, str] = {}
    for name in groups["train"]:
        twin = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if twin != name:
            raise ConfigError(
                f"{folders['train']} has two classes {name!r} that differ in their Unicode form only, {_form(twin)} "
                f"and {_form(name)}; put them into one folder"
            )


def _form(name: str) -> str:
    """Which Unicode form a name has."""
    return "NFC" if unicodedata.is_normalized("NFC", name) else "NFD"


def _other_form(path: Path) -> str:
    """What to say of a folder that is there under a name that looks the same."""
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, str(path))
        if other != str(path) and Path(other).is_dir():
            return f": it is there in Unicode form {form}, and the path is {_form(str(path))}"
    return ""


class _Walk:
    """The files of a folder's classes, each folder entered once.

    A link is followed unless it leads to what is read under its own name: its images would count for two classes.
    """

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        self.root = root
        self.left_out: list[str] = []
        self._read = [folder.resolve() for folder in folders]
        self._seen: set[tuple[int, int]] = set()

    def classes(self, folder: Path) -> dict[str, list[str]]:
        """Paths, relative to the root, of the files below each folder in `folder`; one without files is no class."""
        self._seen.clear()
        found = {}
        for group in _entries(folder):
            if not group.is_dir():
                self._leave(group, "a link to nothing" if not group.exists() else "in no class")
            elif files := [path.relative_to(self.root).as_posix() for path in self._below(group)]:
                found[group.name] = files
        return found

    def _below(self, folder: Path) -> Iterator[Path]:
        status, target = folder.stat(), folder.resolve()
        if folder.is_symlink() and any(target.is_relative_to(other) for other in self._read):
            return self._leave(folder, f"a link to {target}, which is read under that name")
        if (status.st_dev, status.st_ino) in self._seen:
            return self._leave(folder, "reached before by another way")
        self._seen.add((status.st_dev, status.st_ino))
        for entry in _entries(folder):
            if entry.is_dir():
                yield from self._below(entry)
            elif entry.is_file():
                yield entry
            else:
                self._leave(entry, "a link to nothing" if entry.is_symlink() else "no regular file")
        return None

    def _leave(self, path: Path, why: str) -> None:
        self.left_out.append(f"{path.relative_to(self.root).as_posix()}: {why}")


def _entries(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}; change its permissions or move it") from error
    return [folder / name for name in names if not name.startswith(".") and name not in NO_CLASSES]


def _numbered(groups: Mapping[str, Sequence[str]], classes: tuple[str, ...]) -> Files:
    return tuple(sorted((name, number) for number, label in enumerate(classes) for name in groups.get(label, ())))


def _hashes(root: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file; those of files that have not changed since they were hashed are remembered."""
    memory = _Memory(root)
    stamps = {name: _stamp(root / name) for name in names}
    known = {name: digest for name in names if (digest := memory.recall(name, stamps[name])) is not None}
    new = [name for name in names if name not in known]
    with ThreadPoolExecutor(cores()) as pool:
        known |= dict(zip(new, pool.map(_reading(root), new), strict=True))
    if new or len(memory.digests) != len(names):
        memory.keep({name: [stamps[name], known[name]] for name in names})
    return known


def _reading(root: Path) -> Callable[[str], str]:
    def sha256(name: str) -> str:
        try:
            return file_sha256(root / name)
        except OSError as error:
            raise ConfigError(
                f"{root / name} cannot be read: {error.strerror}; change its permissions or remove it"
            ) from error

    return sha256


def _stamp(path: Path) -> list[int]:
    """What changes when a file does: even an edit that sets the time of change back leaves another `st_ctime`."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


class _Memory:
    """Hashes of a folder's files as they were last read, in the folder of all datasets."""

    def __init__(self, root: Path) -> None:
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
        self.path = data_dir() / "hashes" / f"{name}.json"
        self.digests: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            read = json.loads(self.path.read_bytes())
            self.digests = read if isinstance(read, dict) else {}

    def recall(self, name: str, stamp: list[int]) -> str | None:
        """The hash of a file that still has this stamp; None if it is new or has changed."""
        match self.digests.get(name):
            case [known, str(digest)] if known == stamp:
                return digest
        return None

    def keep(self, digests: Mapping[str, object]) -> None:
        """Remember these; where that cannot be written, every command reads all files."""
        with contextlib.suppress(OSError, StoreError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, digests)
