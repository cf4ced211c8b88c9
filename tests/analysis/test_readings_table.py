"""What each reading of the paper changes: paired seeds, one changed setting, exact numbers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml
from fake_store import FakeStore

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.readings import OWN, READINGS, SHARED
from reinit_bench.analysis.tables import build_tables
from reinit_bench.analysis.tables.table import Table
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Trainer


def add(store: FakeStore, *run: Any, **changes: Any) -> None:
    """A finished run without augmentation, if nothing else is said."""
    store.add(*run, **{"augmentation__name": "none", **changes})


def table(store: FakeStore) -> Table:
    return build_tables(collect(store.results_dir), ["readings"])["readings"]


def texts(built: Table) -> list[tuple[str, ...]]:
    return [(*row.headings, *map(str, row.cells)) for row in built.rows]


def options(group: str) -> dict[str, list[Any]]:
    """The defaults of every field of a group's option files, by the name that users type."""
    found: dict[str, list[Any]] = {}
    for file in (conf_dir() / group).glob("*.yaml"):
        for name, value in yaml.safe_load(file.read_text()).items():
            found.setdefault(f"{group}.{name}", []).append(value)
    return found


def test_every_reading_is_a_field_at_its_default() -> None:
    known = {f"trainer.{spec.name}": [spec.default] for spec in fields(Trainer)}
    known |= options("model") | options("initializer") | options("augmentation")
    assert {name: value in known[name] for name, value in SHARED.items()} == dict.fromkeys(SHARED, True)
    assert set(OWN) <= options("method").keys()
    assert len(set(READINGS)) == len(READINGS)


def test_differences_are_paired_by_seed(fake_store: FakeStore) -> None:
    for seed, accuracy in enumerate((0.80, 0.70, 0.60)):
        add(fake_store, "digits", "mobilenet", "bl", accuracy, seed=seed)
    for seed, accuracy in ((1, 0.71), (2, 0.60), (3, 0.99)):  # seed 3 has no partner, nor has seed 0
        add(fake_store, "digits", "mobilenet", "bl", accuracy, seed=seed, model__padding="same")
    built = table(fake_store)
    # 1 and 0 points: mean 0.5, half-width 12.706 * 0.7071 / sqrt(2).
    assert texts(built) == [
        ("DIGITS", "mobilenet", "model.padding=same", "BL", "2", "65.0 ± 7.1", "65.5 ± 7.8", "+0.5 ± 6.4", "1–0")
    ]
    (row,) = built.data.to_dict("records")
    assert (row["difference"], row["half_width"], row["higher"], row["lower"]) == (0.5, 6.3531, 1, 0)


def test_one_reading_a_row_in_the_order_of_the_models_readings_and_methods(fake_store: FakeStore) -> None:
    for method in ("lw", "bl"):
        add(fake_store, "digits", "resnet50", method, 0.5)
        add(fake_store, "digits", "resnet50", method, 0.6, model__conv_bias=True)
        add(fake_store, "digits", "mobilenet", method, 0.5)
        add(fake_store, "digits", "mobilenet", method, 0.5, initializer__depthwise_fan_in="channels")
        add(fake_store, "digits", "mobilenet", method, 0.4, model__grouping="single")
        # Two things at once are no reading; nor is a setting about which the paper is clear.
        add(fake_store, "digits", "mobilenet", method, 0.9, model__grouping="single", model__padding="same")
        add(fake_store, "digits", "mobilenet", method, 0.9, trainer__lr=0.01)
    assert [row[1:4] + row[7:] for row in texts(table(fake_store))] == [
        ("mobilenet", "initializer.depthwise_fan_in=channels", "BL", "+0.0", "0–0"),
        ("mobilenet", "initializer.depthwise_fan_in=channels", "LW", "+0.0", "0–0"),
        ("mobilenet", "model.grouping=single", "BL", "-10.0", "0–1"),
        ("mobilenet", "model.grouping=single", "LW", "-10.0", "0–1"),
        ("resnet50", "model.conv_bias=true", "BL", "+10.0", "1–0"),
        ("resnet50", "model.conv_bias=true", "LW", "+10.0", "1–0"),
    ]


def test_a_methods_reading_is_compared_with_that_method(fake_store: FakeStore) -> None:
    add(fake_store, "digits", "scnn", "bl", 0.9)
    add(fake_store, "digits", "scnn", "lw", 0.5, method__rescale_unit="layer")
    add(fake_store, "digits", "scnn", "lw", 0.7, method__rescale_unit="block")
    # No reading of the paper but an ablation, and one changed in addition.
    add(fake_store, "digits", "scnn", "lw", 0.1, method__rescale_unit="layer", method__rescale=False)
    add(fake_store, "digits", "scnn", "lw", 0.2, method__rescale_unit="block", method__rescale=False)
    shown = [(row[2], row[3], row[7]) for row in texts(table(fake_store))]
    assert ("method.rescale_unit=block", "LW", "+20.0") in shown
    assert all(row[0] == "method.rescale_unit=block" for row in shown)


def test_settings_of_one_model_are_told_apart_and_never_paired(fake_store: FakeStore) -> None:
    for name, base in (("none", 0.5), ("mild", 0.7)):
        add(fake_store, "digits", "scnn", "bl", base, augmentation__name=name)
        add(fake_store, "digits", "scnn", "bl", base + 0.1, augmentation__name=name, model__conv_bias=False)
    add(fake_store, "digits", "scnn", "bl", 0.9, augmentation__name="mild", augmentation__enlarge_from="resized")
    assert [(row[1], row[2], row[7]) for row in texts(table(fake_store))] == [
        ("scnn", "model.conv_bias=false", "+10.0"),
        ("scnn, mild augmentation", "model.conv_bias=false", "+10.0"),
        ("scnn, mild augmentation", "augmentation.enlarge_from=resized", "+20.0"),
    ]


@pytest.mark.parametrize("with_default", [False, True])
def test_a_table_without_pairs_says_how_to_get_them(fake_store: FakeStore, with_default: bool) -> None:
    if with_default:
        add(fake_store, "digits", "scnn", "bl", 0.5)
    else:
        add(fake_store, "digits", "scnn", "bl", 0.5, model__conv_bias=False)
    built = table(fake_store)
    assert built.rows == ()
    assert built.notes[0].endswith("start with: reinit-bench -m study=readings_digits")


def test_readings_have_rows_of_their_own_in_other_tables(fake_store: FakeStore) -> None:
    fake_store.add("digits", "mobilenet", "bl", 0.5)
    fake_store.add("digits", "mobilenet", "bl", 0.6, model__grouping="single")
    fake_store.add("digits", "mobilenet", "bl", 0.7, initializer__depthwise_fan_in="channels")
    fake_store.add("digits", "mobilenet", "bl", 0.8, model__conv_bias=True)
    fake_store.add("digits", "mobilenet", "bl", 0.9, augmentation__enlarge_from="resized")
    built = build_tables(collect(fake_store.results_dir), [2])["2"]
    assert {(row.headings[1], str(row.cells[0])) for row in built.rows} == {
        ("mobilenet", "50.0"),
        ("mobilenet [model.grouping=single]", "60.0"),
        ("mobilenet [initializer.depthwise_fan_in=channels]", "70.0"),
        ("mobilenet [model.conv_bias=true]", "80.0"),
        ("mobilenet [augmentation.enlarge_from=resized]", "90.0"),
    }
