from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from miniature_archives import photo
from PIL import Image

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.data import locations
from reinit_bench.data.folder_scan import scan
from reinit_bench.data.image_folder import ImageFolder
from reinit_bench.data.pixels import decode
from reinit_bench.data.resize import resize
from reinit_bench.data.source import Dataset
from reinit_bench.data.task import load_task
from reinit_bench.sweep.plan import PlannedRun

pytestmark = pytest.mark.usefixtures("data_folder")


def put(path: Path, seed: int, kind: str = "JPEG", **size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo(seed, kind=kind, **size))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """One tree of 10 cats and 20 dogs."""
    for index in range(30):
        put(tmp_path / "pets" / ("cat" if index < 10 else "dog") / f"{index:02d}.jpg", index)
    return tmp_path / "pets"


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """train and test folders of two classes, in several formats and at two depths."""
    put(tmp_path / "own" / "train" / "b" / "1.png", 1, "PNG")
    put(tmp_path / "own" / "train" / "b" / "deep" / "2.webp", 2, "WEBP")
    put(tmp_path / "own" / "train" / "a" / "3.bmp", 3, "BMP", width=2, height=1)
    put(tmp_path / "own" / "test" / "b" / "4.jpg", 4)
    (tmp_path / "own" / "train" / ".DS_Store").write_bytes(b"junk")
    (tmp_path / "own" / "train" / "a" / ".hidden").write_bytes(b"junk")
    return tmp_path / "own"


def load(path: Path, enlarged: int | None = None, **fields: object) -> Dataset:
    return ImageFolder(path=str(path), **fields).load(16, enlarged, 0)  # type: ignore[arg-type]


def test_train_and_test_folders_are_the_splits(splits: Path) -> None:
    data = load(splits, 18)
    assert data.num_classes == 2
    assert data.train.labels.tolist() == [0, 1, 1]  # sorted by path; classes a, b
    assert data.test.labels.tolist() == [1]
    files = [splits / "train" / name for name in ("a/3.bmp", "b/1.png", "b/deep/2.webp")]
    np.testing.assert_array_equal(data.train.inputs, [resize(decode(file), 16) for file in files])
    assert data.train_enlarged is not None
    np.testing.assert_array_equal(data.train_enlarged.inputs, [resize(decode(file), 18) for file in files])


def test_one_tree_is_split_the_same_way_every_time(tree: Path) -> None:
    data = load(tree)
    assert np.bincount(data.train.labels).tolist() == [8, 16]
    assert np.bincount(data.test.labels).tolist() == [2, 4]
    again = load(tree, test_fraction=0.2, split_seed=3)
    np.testing.assert_array_equal(data.test.inputs, again.test.inputs)
    gray = load(tree, test_fraction=0.5, channels=1)
    assert np.bincount(gray.test.labels).tolist() == [5, 10]
    assert gray.train.inputs.shape == (15, 16, 16, 1)


def test_the_cache_is_used_until_the_folder_changes(tree: Path, data_folder: Path) -> None:
    load(tree)
    (cache,) = (data_folder / "cache").iterdir()
    made = (cache / "manifest.json").stat().st_mtime_ns
    load(tree)
    assert (cache / "manifest.json").stat().st_mtime_ns == made
    put(tree / "cat" / "00.jpg", 99)
    file = tree / "cat" / "00.jpg"
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    images = load(tree)
    everything = np.concatenate([images.train.inputs, images.test.inputs])
    assert any(np.array_equal(image, resize(decode(photo(99)), 16)) for image in everything)


def test_a_corrupt_cache_is_made_again(tree: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = np.array(load(tree).train.inputs)
    (cache,) = (data_folder / "cache").iterdir()
    for name in ("train_16.npy", "train_labels.npy", "manifest.json"):
        file = cache / name
        content, status = bytearray(file.read_bytes()), file.stat()
        content[-7] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        np.testing.assert_array_equal(load(tree).train.inputs, expected)
        assert "caching the images again" in capsys.readouterr().err, name


def test_unreadable_files_are_named_and_refused_or_skipped(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Square brackets are markup to the terminal library that prints the names.
    (tree / "cat" / "notes[red].txt").write_text("no image")
    (tree / "dog" / "00.jpg").write_bytes(photo(5)[:200])
    with pytest.raises(ConfigError, match=r"1 files of .*pets cannot be read \(cat/notes.red..txt: .*unreadable=skip"):
        load(tree)
    data = load(tree, unreadable="skip")
    assert len(data.train) + len(data.test) == 30
    assert {"cat/notes[red].txt", "dog/00.jpg"} <= set(capsys.readouterr().err.replace(":", " ").split())


def test_large_tiny_and_odd_images_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "odd" / "train" / "a"
    folder.mkdir(parents=True)
    put(tmp_path / "odd" / "train" / "b" / "y.jpg", 2)
    Image.new("1", (3_000, 3_000), 1).save(folder / "large.png")
    Image.new("RGB", (1, 1), (10, 20, 30)).save(folder / "tiny.png")
    Image.new("CMYK", (9, 4), (0, 255, 255, 0)).save(folder / "cmyk.jpg", quality=100)
    put(tmp_path / "odd" / "test" / "a" / "x.jpg", 1)
    cmyk, large, tiny, _ = load(tmp_path / "odd").train.inputs
    assert large.min() == 255
    assert (tiny == [10, 20, 30]).all()
    assert np.abs(cmyk.astype(int) - [255, 0, 0]).max() <= 2


def section(path: Path) -> dict[str, str]:
    return {"_target_": "reinit_bench.data.image_folder.ImageFolder", "name": "mine", "path": str(path)}


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "TESTING")])
def test_splits_are_found_in_any_case(splits: Path, names: tuple[str, str]) -> None:
    for old, new in zip(("train", "test"), names, strict=True):
        (splits / old).rename(splits / new)
    listing = scan(splits)
    assert listing.classes == ("a", "b")
    assert (len(listing.train), len(listing.test or ())) == (3, 1)


def test_a_validation_folder_is_the_validation_split(splits: Path, make_experiment: Callable[..., Experiment]) -> None:
    for index in range(4):
        put(splits / "valid" / "ab"[index % 2] / f"{index}.png", 50 + index, "PNG")
    task = load_task(make_experiment(section(splits), 16), torch.device("cpu"))
    assert (len(task.train), len(task.validation), len(task.test)) == (3, 4, 1)
    assert task.validation.labels.tolist() == [0, 0, 1, 1]


def test_what_systems_leave_behind_does_not_count(tree: Path) -> None:
    put(tree / "cat" / ".ipynb_checkpoints" / "00-checkpoint.jpg", 1)
    put(tree / "@eaDir" / "00.jpg", 2)
    (tree / "dog" / "Thumbs.db").write_bytes(b"junk")
    listing = scan(tree)
    assert (listing.classes, len(listing.train), listing.left_out) == (("cat", "dog"), 30, ())


def test_links_are_followed_once_and_what_they_miss_is_listed(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "away" / "more.jpg", 90)
    (tree / "cat" / "more").symlink_to(tmp_path / "away")
    (tree / "dog" / "loop").symlink_to(tree / "dog")
    (tree / "dog" / "gone.jpg").symlink_to(tree / "nowhere.jpg")
    listing = scan(tree)
    assert ("cat/more/more.jpg", 0) in listing.train
    assert len(listing.train) == 31
    assert listing.left_out == (
        "dog/gone.jpg: a link to nothing",
        f"dog/loop: a link to {tree / 'dog'}, which is read under that name",
    )
    load(tree)
    assert "left out: dog/gone.jpg: a link to nothing, dog/loop: a link" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listdir = os.listdir

    def refusing(path: Path) -> list[str]:
        if Path(path) == tree / "dog":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)  # root may read everything, so that a mode would refuse nothing
    with pytest.raises(ConfigError, match="pets/dog cannot be read: Permission denied; change its permissions"):
        scan(tree)


def test_classes_counts_and_leaked_test_images_are_told(splits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (splits / "test" / "b" / "leak.png").write_bytes((splits / "train" / "b" / "1.png").read_bytes())
    load(splits)
    told = capsys.readouterr().err
    assert "own: 3 train, 2 test images of 2 classes" in told
    assert "images by class (train+test): a 1+0, b 2+2" in told
    assert "warning: 1 test images are training images too: test/b/leak.png is train/b/1.png" in told


def test_another_users_cache_is_read_without_a_lock(tree: Path, data_folder: Path) -> None:
    expected = np.array(load(tree).train.inputs)
    for lock in (data_folder / "locks").iterdir():
        lock.unlink()
    (data_folder / "locks").rmdir()
    (data_folder / "locks").write_text("no folder: a lock cannot be made")
    np.testing.assert_array_equal(load(tree).train.inputs, expected)
    put(tree / "cat" / "new.jpg", 5)
    with pytest.raises(ConfigError, match=r"cannot cache the images in .*set dataset\.data_dir or REINIT_BENCH_DATA"):
        load(tree)


def test_a_link_between_classes_takes_no_images_away(tree: Path) -> None:
    (tree / "cat" / "more").symlink_to("../dog")
    (tree / "aaa").symlink_to("dog")
    listing = scan(tree)
    assert (listing.classes, listing.counts(listing.train)) == (("cat", "dog"), {"cat": 10, "dog": 20})
    assert [line.partition(":")[0] for line in listing.left_out] == ["aaa", "cat/more"]
    assert scan(tree).content == listing.content


def test_a_pool_of_images_may_lie_beside_the_splits(splits: Path) -> None:
    (splits / "train" / "a").rename(splits / "pool")
    (splits / "train" / "a").symlink_to("../pool")
    listing = scan(splits)
    assert (listing.counts(listing.train), listing.left_out) == ({"a": 1, "b": 2}, ("pool: in no split",))


def test_images_in_no_class_and_in_two_classes_are_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree / "loose.jpg", 50)
    (tree / "cat" / "copy.jpg").write_bytes((tree / "dog" / "20.jpg").read_bytes())
    load(tree, test_fraction=0.05)
    told = capsys.readouterr().err
    assert "left out: loose.jpg: in no class" in told
    assert "warning: 1 images are in two classes: dog/20.jpg is cat/copy.jpg" in told


@pytest.mark.parametrize("name", ["train", "test", "val", "Testing"])
def test_a_class_may_have_the_name_of_a_split(tree: Path, name: str) -> None:
    (tree / "cat").rename(tree / name)
    assert scan(tree).classes == tuple(sorted(["dog", name]))
    (tree / "dog").rename(tree / "train" if name != "train" else tree / "test")
    with pytest.raises(ConfigError, match="has"):  # train/ and test/ alone are splits, whose classes are missing
        scan(tree)


def test_names_that_differ_in_their_unicode_form_are_told_apart(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "K\u00f6ln") for form in ("NFC", "NFD"))
    for name in (composed, "b"):
        put(tmp_path / "own" / "train" / name / "1.png", 1, "PNG")
    put(tmp_path / "own" / "test" / decomposed / "2.png", 2, "PNG")
    with pytest.raises(ConfigError, match="its NFC is another name than NFD: rename one"):
        scan(tmp_path / "own")
    with pytest.raises(ConfigError, match="it is there in Unicode form NFD, and the path is NFC"):
        scan(tmp_path / "own" / "test" / composed)
    put(tmp_path / "own" / "train" / decomposed / "3.png", 3, "PNG")
    with pytest.raises(ConfigError, match=r"two classes .* that differ in their Unicode form only, NFD and NFC"):
        scan(tmp_path / "own" / "train")


def test_another_process_that_caches_the_folder_is_waited_for_and_named(
    tree: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tree)
    (lock,) = (data_folder / "locks").iterdir()
    put(tree / "cat" / "new.jpg", 5)
    monkeypatch.setattr(locations, "LOCK_SECONDS", 0)
    with (
        FileLock(lock),
        pytest.raises(ConfigError, match="another process has been making image_folder-"),
    ):
        load(tree)


def test_content_tells_folders_apart_but_not_where_they_are(tree: Path, splits: Path, tmp_path: Path) -> None:
    moved = tree.rename(tmp_path / "moved")
    seen = [scan(splits).content, scan(moved).content]
    (moved / "cat" / "00.jpg").rename(moved / "cat" / "99.jpg")
    seen.append(scan(moved).content)
    for old, new in (("cat", "cow"), ("dog", "cat"), ("cow", "dog")):
        (moved / old).rename(moved / new)
    seen.append(scan(moved).content)
    file = moved / "dog" / "01.jpg"
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # an edit that keeps size and times
    seen.append(scan(moved).content)
    assert len(set(seen)) == 5
    assert scan(moved.rename(tree)).content == seen[-1]


def planned(path: Path, *words: str) -> Experiment:
    with composer() as compose:
        return PlannedRun.from_dict(
            compose.compose(["dataset=image_folder", f"dataset.path={path}", *words])
        ).experiment


def test_a_run_on_a_folder_is_known_by_its_content(tree: Path, splits: Path, tmp_path: Path) -> None:
    run = planned(tree)
    content = run.dataset["content"]
    assert content == scan(tree).content
    moved = tree.rename(tmp_path / "moved")
    assert planned(moved).run_id == run.run_id
    assert len({run.run_id, planned(splits).run_id, planned(moved, "dataset.test_fraction=0.5").run_id}) == 3
    assert planned(moved, "dataset.name=pets").dataset["_label_"] == "pets"
    load(moved, content=content)
    put(moved / "cat" / "new.jpg", 7)
    with pytest.raises(ConfigError, match="not the folder that the run was composed with"):
        load(moved, content=content)
    with pytest.raises(ConfigError, match="is not a folder"):
        planned(tree)
    moved.rename(tree)
    with pytest.raises(ConfigError, match="dataset image_folder has no content"):
        load_task(dataclasses.replace(run, dataset={**run.dataset, "content": None}), torch.device("cpu"))


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({"test": "val"}, r"has train/ and val/ but no test/: add or rename a folder; dataset\.path=.*own/train holds"),
        ({"test": ".test"}, r"has train/ but no test/: add or rename a folder; dataset\.path=.*own/train holds out"),
        ({"train": ".train"}, r"has test/ but no train/: add or rename a folder$"),
        ({"test/b": "test/.b"}, r"own/test has no class folders with images; .* must hold train/<class>/ and"),
        ({"train/a": "train/.a"}, r"own/train has one class only, 'b'; give each class a folder of its own"),
        ({"train/b": "Training"}, r"two folders for one split, Training/ and train/; keep one"),
        ({"test/b": "test/c"}, r"test has a class 'c' that .*train does not have"),
        ({"train": ".train", "test": ".test"}, r"must hold train/<class>/ and test/<class>/, or <class>/"),
    ],
)
def test_a_layout_that_leaves_a_doubt_is_refused(splits: Path, renamed: dict[str, str], message: str) -> None:
    for old, new in renamed.items():
        (splits / old).rename(splits / new)
    with pytest.raises(ConfigError, match=message):
        scan(splits)


def test_what_cannot_be_loaded_is_refused(tmp_path: Path, splits: Path) -> None:
    for label in "ab":
        put(tmp_path / "few" / label / "1.jpg", 1)
    (splits / "train" / "a" / "3.bmp").write_bytes(b"no image")
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: ImageFolder().load(16, None, 0), r"needs a folder: dataset\.path=FOLDER"),
        (lambda: load(tmp_path / "nowhere"), r"must be a folder of images; .*nowhere is not a folder"),
        (
            lambda: ImageFolder(path=str(splits)).load(None, None, 0),
            r"image_size .* must be a number of pixels; got null",
        ),
        (lambda: ImageFolder(channels=2), r"channels must be 1 or 3; got 2"),
        (lambda: load(tmp_path / "few"), r"too few images to hold out 0\.2 of each class"),
        (
            lambda: load(splits, unreadable="skip"),
            r"no training image of the class of .*a/3.bmp can be read",
        ),
    ]
    for make, message in cases:
        with pytest.raises(ConfigError, match=message):
            make()
