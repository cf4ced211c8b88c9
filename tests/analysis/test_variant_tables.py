"""Appendix F's table and that of the paper's readings: which runs belong together, exact text and numbers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import yaml
from fake_store import FakeStore, printed

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.tables import build_tables
from reinit_bench.analysis.tables.render.text import markdown
from reinit_bench.analysis.tables.table import Table
from reinit_bench.analysis.tables.table_ablation import ablation_table
from reinit_bench.analysis.tables.table_readings import OWN, READINGS, SHARED
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Trainer

NONE: dict[str, Any] = {"augmentation__name": "none", "trainer__momentum": 0.0}
PAPER_ROWS = (
    "|  | *paper, vgg16* |  | ≈ 66 | ≈ 75 | ≈ 66 |  |  |  |",
    "| CIFAR100 | *paper, vgg16* |  | ≈ 34 | ≈ 42 | ≈ 34 |  |  |  |",
    "|  | *paper, vgg16 without norm* |  | ≈ 34 | ≈ 42 |  |  | ≈ 24 |  |",
)


def test_lw_and_its_variants_stand_on_one_line_with_the_paper_under_it(fake_store: Any) -> None:
    fake_store.seeds("cifar10", "vgg16", "lw", (0.74, 0.76), **NONE)
    fake_store.seeds("cifar10", "vgg16", "bl", (0.64, 0.66), **NONE)
    fake_store.add("cifar10", "vgg16", "lw", 0.655, method__reinitialize=False, **NONE)
    fake_store.add("cifar10", "vgg16", "lw", 0.7, method__rescale=False, **NONE)
    # Table 6's runs, with momentum, are another line, in which no variant was trained.
    fake_store.add("cifar10", "vgg16", "lw", 0.9, augmentation__name="none", trainer__momentum=0.9)
    fake_store.add("cifar10", "vgg16", "dsd", 0.9, **NONE)
    table = ablation_table(collect(fake_store.results_dir))
    lines = markdown(table).splitlines()
    assert lines[2:8] == [
        "| Dataset | Model | n | BL | LW | −reinit | −rescale | −norm | +freeze |",
        "| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: |",
        "| CIFAR10 | vgg16 | 2 | 65.0 ± 1.4 | **75.0 ± 1.4** | 65.5 (1) | 70.0 (1) | — | — |",
        *PAPER_ROWS,
    ]
    assert not any("momentum" in note for note in table.notes)
    assert table.data["published"].tolist()[:3] == [66, 75, 66]


def test_each_norm_is_a_row_under_which_its_published_numbers_stand(fake_store: Any) -> None:
    for norm, accuracy in (("batch", 0.4), ("none", 0.3), ("group", 0.5)):
        fake_store.add("cifar100", "vgg16", "lw", accuracy, model__norm=norm, **NONE)
        fake_store.add("cifar100", "vgg16", "lw", 0.2, model__norm=norm, method__normalize=False, **NONE)
    table = ablation_table(collect(fake_store.results_dir))
    assert markdown(table).splitlines()[4:10] == [
        "| CIFAR100 | vgg16 | 1 | — | **50.0** | — | — | 20.0 | — |",
        "|  | *paper, vgg16* |  | ≈ 34 | ≈ 42 | ≈ 34 |  |  |  |",
        "|  | vgg16 without norm | 1 | — | **30.0** | — | — | 20.0 | — |",
        "|  | *paper, vgg16 without norm* |  | ≈ 34 | ≈ 42 |  |  | ≈ 24 |  |",
        "|  | vgg16 with BatchNorm | 1 | — | **40.0** | — | — | 20.0 | — |",
        "| CIFAR10 | *paper, vgg16* |  | ≈ 66 | ≈ 75 | ≈ 66 |  |  |  |",
    ]
    assert not any("model.norm" in note for note in table.notes)


def test_any_methods_settings_are_columns_as_typed_next_to_the_method(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5, **NONE)
    fake_store.add("digits", "scnn", "dsd", 0.6, **NONE)
    for fraction, accuracy in ((0.1, 0.61), (0.05, 0.62)):
        fake_store.add("digits", "scnn", "dsd", accuracy, method__fraction=fraction, **NONE)
    fake_store.add("digits", "scnn", "fc", 0.7, method__layerwise=True, method__extent="head", **NONE)
    fake_store.add("digits", "scnn", "lw", 0.8, method__schedule=[2, 2], method__freeze=True, **NONE)
    fake_store.add("digits", "scnn", "lw", 0.4, method__normalize=False, method__rescale=False, **NONE)
    fake_store.add("digits", "scnn", "welsr", 0.9, **NONE)  # nothing of it is changed anywhere
    table = ablation_table(collect(fake_store.results_dir))
    assert table.columns == (
        *("BL", "LW", "−reinit", "−rescale", "−norm", "+freeze", "lw freeze=true schedule=[2, 2]", "−rescale −norm"),
        *("DSD", "dsd fraction=0.05", "dsd fraction=0.1", "FC", "fc extent=head layerwise=true"),
    )
    assert [cell.text for cell in table.rows[0].cells] == [
        *("50.0", None, None, None, None, None, "80.0", "40.0"),
        *("60.0", "62.0", "61.0", None, "70.0"),
    ]
    assert table.caption.startswith("Appendix F and its like")
    assert not any("not the paper's settings: method" in note for note in table.notes)


def test_a_users_own_method_is_what_most_of_its_runs_are(fake_store: Any) -> None:
    fake_store.seeds("digits", "scnn", "mine", (0.6, 0.6), method__block=None, method__share=0.5, **NONE)
    for block in (10, 9):
        fake_store.add("digits", "scnn", "mine", block / 10 - 0.5, method__block=block, method__share=0.5, **NONE)
    fake_store.add("digits", "scnn", "mine", 0.7, method__block=None, method__share=None, **NONE)
    table = ablation_table(collect(fake_store.results_dir))
    assert table.columns[6:] == ("MINE", "mine block=9", "mine block=10", "mine share=null")
    assert [str(cell) for cell in table.rows[0].cells[6:]] == ["60.0 ± 0.0", "40.0 (1)", "50.0 (1)", "70.0 (1)"]


def test_a_row_has_one_number_of_repeats_and_other_conditions_are_counted(fake_store: Any) -> None:
    for repeats, accuracy in ((1, 0.5), (3, 0.6)):
        fake_store.add("digits", "scnn", "lw", accuracy, method__repeats=repeats, **NONE)
    fake_store.add("digits", "scnn", "lw", 0.7, method__repeats=3, method__freeze=True, **NONE)
    fake_store.add("digits", "scnn", "lw", 0.7, method__freeze=True, augmentation__name="mild")
    table = ablation_table(collect(fake_store.results_dir))
    assert [str(cell) for cell in table.rows[0].cells] == ["—", "60.0", "—", "—", "—", "70.0"]
    assert [row.published for row in table.rows] == [False, True, True, True]
    assert "left out: 1 run of variants under other conditions" in table.notes


def test_momentum_is_said_because_appendix_f_has_none(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "lw", 0.9, method__freeze=True, augmentation__name="none", trainer__momentum=0.9)
    assert "trained with momentum 0.9; Appendix F has none" in ablation_table(collect(fake_store.results_dir)).notes


def add(store: FakeStore, *run: Any, **changes: Any) -> None:
    """A finished run without augmentation, if nothing else is said."""
    store.add(*run, **{"augmentation__name": "none", **changes})


def table(store: FakeStore) -> Table:
    return build_tables(collect(store.results_dir), ["readings"])["readings"]


def test_every_reading_is_a_field_at_its_default() -> None:
    known = {(f"trainer.{spec.name}", str(spec.default)) for spec in fields(Trainer)}
    for path in conf_dir().glob("*/*.yaml"):
        content = yaml.safe_load(path.read_text())
        known |= {(f"{path.parent.name}.{name}", str(value)) for name, value in content.items()}
    assert {(name, str(value)) for name, value in SHARED.items()} <= known
    assert set(OWN) <= {name for name, _ in known}
    assert len(set(READINGS)) == len(READINGS)


def test_differences_are_paired_by_seed(fake_store: FakeStore) -> None:
    fake_store.seeds("digits", "mobilenet", "bl", (0.80, 0.70, 0.60), augmentation__name="none")
    for seed, accuracy in ((1, 0.71), (2, 0.60), (3, 0.99)):  # seed 3 has no partner, nor has seed 0
        add(fake_store, "digits", "mobilenet", "bl", accuracy, seed=seed, model__padding="same")
    built = table(fake_store)
    # 1 and 0 points: mean 0.5, half-width 12.706 * 0.7071 / sqrt(2).
    assert printed(built) == [
        ("DIGITS", "mobilenet", "model.padding=same", "BL", "2", "65.0 ± 7.1", "65.5 ± 7.8", "+0.5 ± 6.4", "1–0")
    ]
    (row,) = built.data.to_dict("records")
    assert (row["difference"], row["half_width"], row["higher"], row["lower"]) == (0.5, 6.3531, 1, 0)


def test_one_reading_a_row_in_the_order_of_the_models_readings_and_methods(fake_store: FakeStore) -> None:
    add(fake_store, "digits", "resnet50", "bl", 0.5)
    add(fake_store, "digits", "resnet50", "bl", 0.6, model__conv_bias=True)
    for method in ("lw", "bl"):
        add(fake_store, "digits", "mobilenet", method, 0.5)
        add(fake_store, "digits", "mobilenet", method, 0.5, initializer__depthwise_fan_in="channels")
        add(fake_store, "digits", "mobilenet", method, 0.4, model__grouping="single")
        # Two things at once are no reading; nor is a setting about which the paper is clear.
        add(fake_store, "digits", "mobilenet", method, 0.9, model__grouping="single", model__padding="same")
        add(fake_store, "digits", "mobilenet", method, 0.9, trainer__lr=0.01)
    assert [row[1:4] + row[7:] for row in printed(table(fake_store))] == [
        ("mobilenet", "initializer.depthwise_fan_in=channels", "BL", "+0.0", "0–0"),
        ("mobilenet", "initializer.depthwise_fan_in=channels", "LW", "+0.0", "0–0"),
        ("mobilenet", "model.grouping=single", "BL", "-10.0", "0–1"),
        ("mobilenet", "model.grouping=single", "LW", "-10.0", "0–1"),
        ("resnet50", "model.conv_bias=true", "BL", "+10.0", "1–0"),
    ]


def test_a_methods_reading_is_compared_with_that_method(fake_store: FakeStore) -> None:
    add(fake_store, "digits", "scnn", "bl", 0.9)
    add(fake_store, "digits", "scnn", "lw", 0.5, method__rescale_unit="layer")
    add(fake_store, "digits", "scnn", "lw", 0.7, method__rescale_unit="block")
    # No reading of the paper but an ablation, and one changed in addition.
    add(fake_store, "digits", "scnn", "lw", 0.1, method__rescale_unit="layer", method__rescale=False)
    add(fake_store, "digits", "scnn", "lw", 0.2, method__rescale_unit="block", method__rescale=False)
    shown = [(row[2], row[3], row[7]) for row in printed(table(fake_store))]
    assert ("method.rescale_unit=block", "LW", "+20.0") in shown
    assert all(row[0] == "method.rescale_unit=block" for row in shown)


def test_settings_of_one_model_are_told_apart_and_never_paired(fake_store: FakeStore) -> None:
    for name, base in (("none", 0.5), ("mild", 0.7)):
        add(fake_store, "digits", "scnn", "bl", base, augmentation__name=name)
        add(fake_store, "digits", "scnn", "bl", base + 0.1, augmentation__name=name, model__conv_bias=False)
    add(fake_store, "digits", "scnn", "bl", 0.9, augmentation__name="mild", augmentation__enlarge_from="resized")
    assert [(row[1], row[2], row[7]) for row in printed(table(fake_store))] == [
        ("scnn", "model.conv_bias=false", "+10.0"),
        ("scnn, mild augmentation", "model.conv_bias=false", "+10.0"),
        ("scnn, mild augmentation", "augmentation.enlarge_from=resized", "+20.0"),
    ]
