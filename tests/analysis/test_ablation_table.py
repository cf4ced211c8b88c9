"""Appendix F's table: which runs belong together, exact text, and the published numbers."""

import math
from typing import Any

from reinit_bench.analysis.frame.collect import collect, published_runs
from reinit_bench.analysis.tables.render.text import markdown
from reinit_bench.analysis.tables.table_ablation import ablation_table

NONE: dict[str, Any] = {"augmentation__name": "none", "trainer__momentum": 0.0}
PAPER_ROWS = (
    "|  | *paper, vgg16* |  | ≈ 66 | ≈ 75 | ≈ 66 |  |  |  |",
    "| CIFAR100 | *paper, vgg16* |  | ≈ 34 | ≈ 42 | ≈ 34 |  |  |  |",
    "|  | *paper, vgg16 without norm* |  | ≈ 34 | ≈ 42 |  |  | ≈ 24 |  |",
)


def test_lw_and_its_variants_stand_on_one_line_with_the_paper_under_it(fake_store: Any) -> None:
    for seed, accuracy in enumerate((0.74, 0.76)):
        fake_store.add("cifar10", "vgg16", "lw", accuracy, seed=seed, **NONE)
        fake_store.add("cifar10", "vgg16", "bl", accuracy - 0.1, seed=seed, **NONE)
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
    assert [tuple(row[3:6]) for row in table.data.itertuples(index=False)][:3] == [
        ("bl", 2, 65.0),
        ("lw", 2, 75.0),
        ("lw reinitialize", 1, 65.5),
    ]
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
    published = {(row.norm, row.variant): row.published for row in table.data.itertuples()}
    assert (published["none", "lw normalize"], published["group", "lw"]) == (24, 42)
    assert math.isnan(published["group", "lw normalize"])
    assert math.isnan(published["batch", "lw"])
    assert not any("model.norm" in note for note in table.notes)


def test_several_switches_at_once_are_a_column_of_their_own(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "lw", 0.9, method__normalize=False, **NONE)
    fake_store.add("digits", "scnn", "lw", 0.8, method__normalize=False, method__rescale=False, **NONE)
    table = ablation_table(collect(fake_store.results_dir))
    assert table.columns[-1] == "−rescale −norm"
    assert [cell.text for cell in table.rows[0].cells] == [None, None, None, None, "90.0", None, "80.0"]
    assert [row.headings[0] for row in table.rows] == ["DIGITS", "CIFAR10", "CIFAR100", "CIFAR100"]


def test_any_methods_settings_are_columns_as_typed_next_to_the_method(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5, **NONE)
    fake_store.add("digits", "scnn", "dsd", 0.6, **NONE)
    for fraction, accuracy in ((0.1, 0.61), (0.05, 0.62)):
        fake_store.add("digits", "scnn", "dsd", accuracy, method__fraction=fraction, **NONE)
    fake_store.add("digits", "scnn", "fc", 0.7, method__layerwise=True, method__extent="head", **NONE)
    fake_store.add("digits", "scnn", "lw", 0.8, method__schedule=[2, 2], method__freeze=True, **NONE)
    fake_store.add("digits", "scnn", "welsr", 0.9, **NONE)  # nothing of it is changed anywhere
    table = ablation_table(collect(fake_store.results_dir))
    assert table.columns == (
        *("BL", "LW", "−reinit", "−rescale", "−norm", "+freeze", "lw freeze=true schedule=[2, 2]"),
        *("DSD", "dsd fraction=0.05", "dsd fraction=0.1", "FC", "fc extent=head layerwise=true"),
    )
    assert [cell.text for cell in table.rows[0].cells] == [
        *("50.0", None, None, None, None, None, "80.0"),
        *("60.0", "62.0", "61.0", None, "70.0"),
    ]
    assert table.caption.startswith("Appendix F and its like")
    assert not any("not the paper's settings: method" in note for note in table.notes)


def test_a_users_own_method_is_what_most_of_its_runs_are(fake_store: Any) -> None:
    for seed in (0, 1):
        fake_store.add("digits", "scnn", "mine", 0.6, seed=seed, method__block=None, method__share=0.5, **NONE)
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


def test_the_published_accuracies_hold_no_variant() -> None:
    table = ablation_table(published_runs())
    assert [row.published for row in table.rows] == [True, True, True]


def test_without_any_variant_only_the_paper_speaks(fake_store: Any) -> None:
    fake_store.add("cifar10", "vgg16", "lw", 0.9, **NONE)
    table = ablation_table(collect(fake_store.results_dir))
    assert [row.published for row in table.rows] == [True, True, True]
    assert table.notes[0].endswith("start with: reinit-bench -m study=ablation_digits")
    assert ablation_table(collect(fake_store.results_dir / "empty")).data.empty
