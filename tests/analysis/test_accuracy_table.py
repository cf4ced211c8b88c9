"""Tables 2, 6 and 7: what is averaged, what is never averaged, what is marked and what is said."""

import json
from typing import Any

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.tables import build_tables
from reinit_bench.analysis.tables.table import Cell, Table


def table(fake_store: Any, number: int = 2) -> Table:
    return build_tables(collect(fake_store.results_dir), [number])[str(number)]


def printed(built: Table) -> list[tuple[str, ...]]:
    """Headings and cells of each row, the best with a star."""
    return [(*row.headings, *(str(cell) + "*" * cell.best for cell in row.cells)) for row in built.rows]


def data(built: Table, dataset: str, model: str) -> dict[str, tuple[Any, ...]]:
    """Method -> (n, mean, std, published) of one row of the long form, None for an empty field."""
    rows = built.data[(built.data["dataset"] == dataset) & (built.data["model"] == model)].astype(object)
    rows = rows.where(rows.notna(), None)
    return {row[2]: tuple(row[3:]) for row in rows.itertuples(index=False)}


def test_seeds_are_averaged_with_their_sample_deviation(fake_store: Any) -> None:
    fake_store.seeds("digits", "scnn", "bl", (0.70, 0.71, 0.72))
    fake_store.add("digits", "scnn", "lw", 0.6)
    built = table(fake_store)
    assert printed(built) == [("DIGITS", "scnn", "3", "71.0 ± 1.0*", "—", "—", "—", "—", "60.0 (1)")]
    nothing = dict.fromkeys(("welsr", "dsd", "wels", "fc"), (0, None, None, None))
    expected = {"bl": (3, 71.0, 1.0, None), "lw": (1, 60.0, None, None)}
    assert data(built, "DIGITS", "scnn") == expected | nothing


def test_the_best_is_judged_on_the_mean_as_printed_and_ties_are_all_marked(fake_store: Any) -> None:
    for method, accuracy in {"bl": 0.71151, "welsr": 0.71249, "fc": 0.7114}.items():
        fake_store.add("digits", "scnn", method, accuracy)
    assert printed(table(fake_store)) == [("DIGITS", "scnn", "1", "71.2*", "71.2*", "—", "—", "71.1", "—")]


def test_published_values_stand_under_ours_and_only_a_complete_row_has_a_best(fake_store: Any) -> None:
    fake_store.add("oxford_iiit", "mobilenet", "fc", 0.25)
    fake_store.add("cifar10", "vgg16", "lw", 0.9)
    built = table(fake_store)
    assert printed(built) == [
        ("OXFORD-IIIT", "mobilenet", "1", "—", "—", "—", "—", "25.0", "—"),
        ("OXFORD-IIIT", "paper", "", "27.7", "24.1", "—", "24.3", "23.5", "—"),
        ("CIFAR10", "vgg16", "1", "—", "—", "—", "—", "—", "90.0"),
        ("CIFAR10", "paper", "", "84.7", "86.8", "84.9", "85.9", "85.0", "88.9*"),
    ]
    assert data(built, "CIFAR10", "vgg16")["lw"] == (1, 90.0, None, 88.9)
    assert data(built, "CIFAR10", "vgg16")["bl"] == (0, None, None, 84.7)
    assert "286 of 288 published cells have no run yet" in built.notes
    assert not any(words in note for note in built.notes for words in ("settings", "left out", "mixed"))


def test_a_dataset_that_is_not_in_the_paper_is_followed_by_the_papers_mean(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "lw", 0.9, augmentation__name="none")
    # Table 6's scnn rows have no damaged cell; B sums to 607.3 and L to 625.7 over the twelve.
    expected = "the paper's scnn, mean over its 12 datasets with all six values: B 50.6 "
    (note,) = [note for note in table(fake_store, 6).notes if note.startswith(expected)]
    assert note.endswith(" L 52.1")
    fake_store.add("cifar10", "scnn", "lw", 0.9, augmentation__name="mild")
    assert not any("mean over" in note for note in table(fake_store, 2).notes)


def test_training_subsets_are_datasets_of_their_own_without_a_published_value(fake_store: Any) -> None:
    for examples, accuracy in ((1000, 0.3), (200, 0.2), (None, 0.8)):
        fake_store.add("cifar10", "scnn", "bl", accuracy, dataset__train_examples=examples)
    assert [(row.headings[0], row.headings[1], str(row.cells[0])) for row in table(fake_store).rows] == [
        ("CIFAR10", "scnn", "80.0"),
        ("CIFAR10", "paper", "82.7"),
        ("CIFAR10 (200)", "scnn", "20.0"),
        ("CIFAR10 (1000)", "scnn", "30.0"),
    ]


def test_runs_at_different_settings_are_never_averaged(fake_store: Any) -> None:
    fake_store.add("cifar10", "scnn", "bl", 0.5)
    fake_store.add("cifar10", "scnn", "lw", 0.6)
    fake_store.add("cifar10", "scnn", "lw", 0.7, image_size=128)
    fake_store.add("cifar10", "scnn", "lw", 0.8, image_size=64)
    fake_store.add("cifar10", "scnn", "lw", 0.9, image_size=64, model__width=0.25, precision="bf16")
    assert [(row.headings[1], str(row.cells[0]), str(row.cells[5])) for row in table(fake_store).rows] == [
        ("scnn [precision=fp32]", "50.0", "60.0"),
        ("scnn [image_size=64, precision=fp32]", "—", "80.0"),
        ("scnn [image_size=128, precision=fp32]", "—", "70.0"),
        ("scnn [model.width=0.25, image_size=64, precision=bf16]", "—", "90.0"),
        ("paper", "82.7", "84.3"),
    ]


def test_conditions_are_named_and_never_averaged(fake_store: Any) -> None:
    """The first row, without a word, is at the values that absence means."""
    rows: dict[str, dict[str, Any]] = {
        "": {},
        " [trainer.optimizer=adamw, trainer.schedule=cosine]": {
            "trainer__optimizer": "adamw",
            "trainer__schedule": "cosine",
        },
        " [dataset.label_noise=0.2]": {"dataset__label_noise": 0.2},
        " [dataset.growth=[0.1, 1.0]]": {"dataset__growth": [0.1, 1.0]},
        " [model.norm=batch]": {"model__norm": "batch"},
        " [model.grouping=single]": {"model__grouping": "single"},
        " [initializer.depthwise_fan_in=channels]": {"initializer__depthwise_fan_in": "channels"},
        " [augmentation.enlarge_from=resized]": {"augmentation__enlarge_from": "resized"},
    }
    for number, changes in enumerate(rows.values()):
        fake_store.add("digits", "mobilenet", "bl", number / 10, **changes)
    found = {row.headings[1]: str(row.cells[0]) for row in table(fake_store).rows}
    assert found == {f"mobilenet{words}": f"{10.0 * number}" for number, words in enumerate(rows)}


def test_two_datasets_with_one_label_are_told_apart(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5)
    fake_store.add("digits", "scnn", "bl", 0.6, dataset__name="digits_too")
    names = [row.headings[1] for row in table(fake_store).rows]
    assert names == ["scnn [dataset.name=digits]", "scnn [dataset.name=digits_too]"]


def test_a_method_at_its_defaults_stays_with_the_others_whatever_its_variants(fake_store: Any) -> None:
    """LW's schedule is null by default and DSD's `fill` has no value in the paper."""
    fake_store.add("digits", "scnn", "bl", 0.8)
    fake_store.add("digits", "scnn", "lw", 0.6, method__schedule=None)
    fake_store.add("digits", "scnn", "lw", 0.7, method__schedule=[1, 2])
    fake_store.add("digits", "scnn", "dsd", 0.8, method__fill="initializer")
    fake_store.add("digits", "scnn", "dsd", 0.9, method__fill="zeros")
    assert printed(table(fake_store)) == [
        ("DIGITS", "scnn", "1", "80.0*", "—", "80.0*", "—", "—", "60.0"),
        ("DIGITS", "scnn [method.fill=zeros]", "1", "—", "—", "90.0", "—", "—", "—"),
        ("DIGITS", "scnn [method.schedule=[1, 2]]", "1", "—", "—", "—", "—", "—", "70.0"),
    ]


def test_a_method_that_ran_only_changed_has_a_row_that_says_so(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5)
    fake_store.add("digits", "scnn", "lw", 0.6, method__rescale=False)
    assert printed(table(fake_store)) == [
        ("DIGITS", "scnn", "1", "50.0", "—", "—", "—", "—", "—"),
        ("DIGITS", "scnn [method.rescale=false]", "1", "—", "—", "—", "—", "—", "60.0"),
    ]


def test_runs_of_one_dataset_with_different_content_are_not_averaged(fake_store: Any) -> None:
    for seed, content in enumerate(("a" * 64, "a" * 64, "b" * 64, None)):
        path = fake_store.add("digits", "scnn", "bl", 0.5 + seed / 10, seed=seed)
        path.write_text(json.dumps({**json.loads(path.read_text()), "content": content}))
    fake_store.add("cifar10", "vgg16", "bl", 0.5)
    assert [(row.headings[1], str(row.cells[0])) for row in table(fake_store).rows if row.headings[0] == "DIGITS"] == [
        ("scnn [dataset.content=aaaaaaaaaaaa]", "55.0 ± 7.1"),
        ("scnn [dataset.content=bbbbbbbbbbbb]", "70.0"),
        ("scnn [dataset.content=unknown]", "80.0"),
    ]


def test_a_field_added_later_means_the_same_as_its_absence(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "lw", 0.5)
    fake_store.add("digits", "scnn", "lw", 0.7, seed=1, method__freeze=False, method___absent_={"freeze": False})
    assert printed(table(fake_store)) == [("DIGITS", "scnn", "2", "—", "—", "—", "—", "—", "60.0 ± 14.1")]


def test_each_table_takes_the_runs_of_its_condition(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.2)
    fake_store.add("digits", "scnn", "bl", 0.6, augmentation__name="none")
    fake_store.add("digits", "scnn", "bl", 0.7, dropout__name="p25", dropout__rate=0.25)
    fake_store.add("digits", "scnn", "bl", 0.8, dropout__name="p50", dropout__rate=0.5)
    fake_store.add("digits", "scnn", "bl", 0.9, initializer__name="xavier_uniform")
    found = {number: [str(row.cells[0]) for row in table(fake_store, number).rows] for number in (2, 6, 7)}
    assert found == {2: ["20.0"], 6: ["60.0"], 7: ["70.0"]}


def test_a_users_own_method_model_and_dataset_come_after_the_papers(fake_store: Any) -> None:
    fake_store.add("digits", "zeta", "mine", 0.4, method___label_="MINE")
    fake_store.add("digits", "resnet50", "bl", 0.4)
    fake_store.add("cifar10", "alpha", "mine", 0.9)
    fake_store.add("cifar10", "resnet50", "mine", 0.9)
    built = table(fake_store)
    assert built.columns == ("B", "R", "D", "W", "F", "L", "MINE")
    assert [row.headings[:2] for row in built.rows] == [
        ("CIFAR10", "resnet50"),
        ("CIFAR10", "paper"),
        ("CIFAR10", "alpha"),
        ("DIGITS", "resnet50"),
        ("DIGITS", "zeta"),
    ]
    assert built.rows[1].cells[6] == Cell(""), "the paper has no value to miss"
    assert data(built, "CIFAR10", "resnet50")["mine"] == (1, 90.0, None, None)


def test_notes_say_how_the_settings_differ_from_the_papers(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5, image_size=32, trainer__max_steps=60, trainer__lr=0.01)
    fake_store.add("digits", "scnn", "lw", 0.5, image_size=64, trainer__max_steps=60)
    assert table(fake_store, 7).notes[0] == (
        "no finished run with augmentation and dropout 0.25; 2 runs finished under other conditions"
    )
    assert (
        "not the paper's settings: image_size 32, 64 (paper 224), trainer.lr 0.01 (paper 0.003) in 1 of 2 runs, "
        "trainer.max_steps 60 (paper 100000)"
    ) in table(fake_store).notes


def test_notes_name_mixed_code_with_counts(fake_store: Any) -> None:
    fake_store.seeds("digits", "scnn", "bl", (0.5, 0.5))
    fake_store.add("digits", "scnn", "bl", 0.5, seed=2, git_commit="b" * 40)
    fake_store.add("digits", "scnn", "bl", 0.5, seed=3, git_commit=None, version="0.2.0")
    fake_store.add("digits", "scnn", "bl", 0.5, augmentation__name="none", version="0.3.0")
    assert table(fake_store).notes[-1] == (
        "runs of different code are mixed (reinit-bench 0.1.0 commit aaaaaaaaaa: 2 runs; "
        "reinit-bench 0.1.0 commit bbbbbbbbbb: 1 run; reinit-bench 0.2.0 commit unknown: 1 run)"
    )


def test_a_table_of_one_row_says_what_each_method_gains_in_pairs(fake_store: Any) -> None:
    fake_store.seeds("digits", "scnn", "bl", (0.50, 0.60, 0.70))
    fake_store.seeds("digits", "scnn", "lw", (0.52, 0.61, 0.73))
    fake_store.add("digits", "scnn", "fc", 0.9)  # one seed has no interval
    said = "difference from BL in points, paired by seed, with half the width of its 95% t-interval: "
    # Gains of 2, 1 and 3: the quantile 4.3027 of two degrees of freedom over the root of three.
    assert f"{said}LW +2.0 ± 2.5 (n = 3)" in table(fake_store).notes
    fake_store.add("digits", "vgg16", "lw", 0.9)
    assert not any(note.startswith(said) for note in table(fake_store).notes)


def test_what_must_be_said_of_a_dataset_stands_under_every_table_of_images(fake_store: Any) -> None:
    note = "DIGITS has a part of the images"
    fake_store.add("digits", "scnn", "bl", 0.6)
    built = build_tables(collect(fake_store.results_dir), [2, "gains", 1])
    assert all(note not in one.notes for one in built.values())
    for method in ("bl", "lw"):
        fake_store.add("digits", "scnn", method, 0.6, seed=1, dataset___note_=note)
    built = build_tables(collect(fake_store.results_dir), [2, "gains", 1])
    assert [one.notes.count(note) for one in built.values()] == [1, 1, 0]
