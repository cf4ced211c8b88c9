"""Tuned comparisons: what is reported, the statistics by hand, the claims' rule, exact table text."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import yaml
from fake_store import TRIAL_SEED, FakeStore, TunedStore

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.verdict import by_noise, by_size, draw, spread
from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.arms import tuned_runs
from reinit_bench.analysis.stats.claims import SMALLEST, Claim, claims
from reinit_bench.analysis.stats.paired_gains import (
    bootstrap_interval,
    ranking,
    sensitivity,
)
from reinit_bench.analysis.stats.scores import scores_by_setting
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate
from reinit_bench.analysis.stats.tuning import DIVERGED
from reinit_bench.analysis.tables.render.text import markdown
from reinit_bench.analysis.tables.table_verdict import (
    choices_table,
    rounds_table,
    sensitivity_table,
    settings_table,
    verdict_table,
)
from reinit_bench.core.conf_dir import own_config
from reinit_bench.sweep.studies import Study
from reinit_bench.sweep.trials import tuned as tuned_points


def test_only_fresh_seeds_at_the_chosen_values_are_reported(tuned: TunedStore) -> None:
    tuned.arm("bl", [0.60, 0.62])
    tuned.arm("lw", [0.65, 0.66], validation=(0.5, 0.5, 0.4))  # a tie: the earliest
    other = {"augmentation__name": "none", "model__norm": "group", "dataset__train_examples": 1000}
    unchosen = {"seed": 3, "trainer__lr": 0.03, "trainer__weight_decay": 0.0}
    tuned.store.add("digits", "scnn", "lw", 0.9, study="verdict_pilot", **unchosen, **other)
    tuned.store.add("digits", "scnn", "lw", 0.9, study="demo", seed=4, **other)
    runs = tuned.runs()
    reported = runs.reported.sort_values(["method", "seed"])[["method", "seed", "test_accuracy"]]
    assert reported.to_numpy().tolist() == [["bl", 0, 0.6], ["bl", 1, 0.62], ["lw", 0, 0.65], ["lw", 1, 0.66]]
    chosen = runs.trials[runs.trials["chosen"]].set_index("method")["values"]
    assert chosen.to_dict() == {"bl": "lr=0.01 weight_decay=0", "lw": "lr=0.003 weight_decay=0"}
    assert runs.left_out == ("left out: 1 runs whose settings their arm's trials did not choose",)


def test_a_diverged_trial_of_two_counts_as_the_worst_in_the_sweep_and_in_the_tables(fake_store: FakeStore) -> None:
    """The rate that is better on the survivors' mean lost a seed: what the sweep trains is what the tables report."""
    found = {(0.003, 100): 0.5, (0.003, 101): 0.5, (0.03, 100): 0.9, (0.03, 101): DIVERGED}
    grid = {"method": "lw", "trainer.lr": {"tune": [0.003, 0.03]}, "seed": [0, 1]}
    points = Study.from_dict({"name": "mine", "grids": [grid], "tuning_seeds": [100, 101]}, lambda name: {}).points()
    swept = tuned_points(points, lambda trial: found[trial["trainer.lr"], trial["seed"]]).points
    settings = {"dataset__train_examples": 1000, "study": "mine"}
    for point in swept:
        validation = found.get((point["trainer.lr"], point["seed"]), 0.6)
        values = {"seed": point["seed"], "trainer__lr": point["trainer.lr"], "validation": validation, **settings}
        fake_store.add("digits", "scnn", "lw", 0.7, **values)
    assert {point["trainer.lr"] for point in swept if point["seed"] < 100} == {0.003}
    conf = fake_store.results_dir / "conf"
    (conf / "study").mkdir(parents=True)
    (conf / "study/mine.yaml").write_text(yaml.safe_dump({"tuning_seeds": [100, 101], "grids": [grid]}))
    with own_config(conf, None):
        runs = tuned_runs(collect(fake_store.results_dir))
    assert sorted(runs.reported["seed"]) == [0, 1]
    assert runs.left_out == ()
    assert list(runs.trials["values"][runs.trials["chosen"]]) == ["lr=0.003"]


def test_a_stratum_weighs_as_much_as_any_other_whatever_its_size() -> None:
    strata = [np.array([1.0, 3.0]), np.array([10.0] * 50)]
    found = estimate(list(map(Summary.of, strata)))
    assert (found.value, found.n) == (6.0, 52)
    # Resampling two values of 1 and 3 gives means of 1, 2 and 3: the limits are those of the first stratum.
    assert bootstrap_interval(strata) == (5.5, 6.5)
    assert estimate([Summary.of(np.array([1.0]))]).low is None
    assert bootstrap_interval([np.array([1.0])]) is None


def test_the_t_interval_of_one_setting_is_students_and_of_several_welchs() -> None:
    gains = np.array([1.21, 0.83, 0.02, 0.83, 0.39])
    alone = estimate([Summary.of(gains)])
    student = scipy.stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    assert (alone.low, alone.high) == pytest.approx((student.low, student.high))
    other = np.array([0.2, -0.4, 1.1])
    both = estimate([Summary.of(gains), Summary.of(other)], [1.0, -1.0])
    welch = scipy.stats.ttest_ind(gains, other, equal_var=False).confidence_interval(0.95)
    assert (both.low, both.high) == pytest.approx((welch.low, welch.high))
    assert estimate([Summary(2, 0.5, 0.0)] * 2) == Estimate(0.5, 0.0, 4)


def test_ranks_are_over_settings_with_all_arms(tuned: TunedStore) -> None:
    for noise in (0.0, 0.2):
        tuned.arms({"bl": [0.6], "lw": [0.7], "fc": [0.5 + noise]}, dataset__label_noise=noise)
    ranked = ranking(tuned.runs(), ["bl", "fc", "lw"])
    assert ranked is not None
    assert ranked.n == 2
    assert ranked.mean_ranks == {"bl": 2.5, "fc": (3 + 1.5) / 2, "lw": (1 + 1.5) / 2}


def test_sensitivity_is_the_spread_over_an_arms_own_trials(tuned: TunedStore) -> None:
    tuned.arm("bl", [0.6], validation=(0.2, 0.7, 0.6))
    tuned.arm("lw", [0.6], validation=(0.6, 0.7, 0.65))
    found = sensitivity(tuned.runs()).set_index("method")["spread"]
    assert (found["bl"], found["lw"]) == pytest.approx((50, 10))
    cells = sensitivity_table(collect(tuned.store.results_dir)).rows[0].cells
    assert [str(cell) for cell in cells] == ["50.0", "10.0"]


@pytest.mark.parametrize(
    ("value", "margin", "verdict"),
    [
        (0.3, 0.29, "shown"),
        (0.0, SMALLEST - 0.01, "not shown"),
        (-1.0, 0.5, "not shown"),
        (0.0, SMALLEST, "cannot be told"),
        (0.5, 0.5, "cannot be told"),
        (0.5, None, "cannot be told"),
    ],
)
def test_a_claim_is_judged_by_its_interval(value: float, margin: float | None, verdict: str) -> None:
    assert Claim("it helps", "gain", Estimate(value, margin, 5), 1).verdict == verdict


def test_a_claims_gain_is_one_number_for_each_baseline_run(tuned: TunedStore) -> None:
    """Four arms against the same five runs of the baseline are five pairs, not twenty."""
    tuned.arm("bl", [0.60, 0.61, 0.62, 0.63, 0.64])
    for method, more in (("lw", 0.02), ("fc", 0.01), ("llf", 0.01), ("sp", 0.0)):
        tuned.arm(method, [0.60 + more, 0.61 + more, 0.62 + more, 0.63 + more, 0.64 + more])
    paper, control, helps, *others = claims(tuned.runs())
    assert helps.estimate is not None
    assert (round(helps.estimate.value, 6), helps.estimate.n, helps.settings, helps.verdict) == (1.0, 5, 1, "shown")
    assert str(paper).endswith("in points: +2.00 (95% t-interval +2.00 to +2.00), n = 5 in 1 setting")
    assert [str(one).endswith("cannot be told. No runs") for one in (control, *others)] == [True] * 4


def test_lw_is_held_against_the_control_by_seed(tuned: TunedStore) -> None:
    tuned.arms({"bl": [0.60, 0.61, 0.62], "lw": [0.62, 0.62, 0.66], "restart": [0.61, 0.62]})
    _, control, *_ = claims(tuned.runs())
    assert control.estimate is not None
    assert (round(control.estimate.value, 6), control.estimate.n, control.verdict) == (0.5, 2, "cannot be told")


def test_the_table_has_each_arm_by_block(tuned: TunedStore) -> None:
    for regularized in ("none", "standard"):
        tuned.arms({"bl": [0.60, 0.62, 0.64], "lw": [0.61, 0.65, 0.64]}, augmentation__name=regularized)
    collection = collect(tuned.store.results_dir)
    table = verdict_table(collection)
    # Gains of 1, 3 and 0; of nine pairs of runs, LW's 61 beats one, 65 all three, 64 two and ties with one: 6.5 of 9.
    assert markdown(table).splitlines()[2:8] == [
        "| Settings | Arm | settings | gain | bootstrap | interquartile mean | P(better) | p (Holm) | mean rank |",
        "| :-- | :-- | --: | --: | --: | --: | --: | --: | --: |",
        "| all settings | LW | 2 | +1.33 ± 1.73 | +0.33 to +2.33 | +1.25 | 0.72 | 0.125 | 1.00 |",
        "| right labels, not regularized | LW | 1 | +1.33 ± 3.79 | +0.00 to +3.00 | +1.33 | 0.72 | 0.500 |  |",
        "| right labels, regularized | LW | 1 | +1.33 ± 3.79 | +0.00 to +3.00 | +1.33 | 0.72 | 0.500 |  |",
        "",
    ]
    shown = [[*row.headings, *map(str, row.cells)] for row in settings_table(collection).rows]
    assert shown == [
        ["DIGITS", "scnn", "1,000", "0%", "no", "62.0", "+1.3 ± 3.8"],
        ["DIGITS", "scnn", "1,000", "0%", "yes", "62.0", "+1.3 ± 3.8"],
    ]
    assert [str(cell) for cell in choices_table(collection).rows[0].cells] == ["lr=0.01 weight_decay=0"] * 2


def test_networks_and_sizes_are_settings_of_their_own(tuned: TunedStore) -> None:
    for norm, examples in (("group", 100), ("batch", 100), ("group", 300)):
        tuned.arms({"bl": [0.6], "lw": [0.6]}, model__norm=norm, dataset__train_examples=examples)
    headings = [row.headings[1:3] for row in settings_table(collect(tuned.store.results_dir)).rows]
    assert headings == [("scnn", "100"), ("scnn", "300"), ("scnn with BatchNorm", "100")]


def test_an_augmentation_with_fields_of_its_own_is_no_other_network(tuned: TunedStore) -> None:
    standard = {"augmentation__name": "standard", "augmentation__flip": 0.5, "augmentation__padding": 4}
    for augmentation in ({}, standard):
        tuned.arms({"bl": [0.6, 0.61], "lw": [0.6, 0.62]}, **augmentation)
    assert set(tuned.runs().reported["network"]) == {"scnn"}
    tuned.arm("bl", [0.6], augmentation__name="mild")
    found = tuned.runs().reported.groupby("regularized")["network"].unique()
    assert list(found[False]) == ["scnn"]
    assert len(found[True]) == 2


def test_trials_choose_and_are_no_results(tuned: TunedStore) -> None:
    """Other tables must not take the seed with which rates were chosen for a run of that rate."""
    tuned.arms({"bl": [0.60, 0.62], "lw": [0.61, 0.65]})
    collection = collect(tuned.store.results_dir)
    assert sorted(collection.frame["seed"]) == [0, 0, 1, 1]
    assert set(collection.trials["seed"]) == {TRIAL_SEED}
    assert len(collection.trials) == 6
    scores = scores_by_setting(collection).frame
    assert scores[["bl", "lw"]].to_numpy().tolist() == [[61.0, 63.0]]
    assert "left out: 6 trials, with which tuned studies chose settings" in verdict_table(collection).notes


def test_one_tuned_study_goes_on_where_another_of_the_same_values_was_cut(tuned: TunedStore) -> None:
    tuned.arm("bl", [0.60, 0.62])
    settings = {"dataset__train_examples": 1000, "augmentation__name": "none", "model__norm": "group"}
    run = {"seed": 2, "trainer__lr": 0.01, "trainer__weight_decay": 0.0}
    tuned.store.add("digits", "scnn", "bl", 0.7, study="verdict_fraction", **run, **settings)
    assert sorted(tuned.runs().reported["seed"]) == [0, 1, 2]


def test_how_rounds_ended_is_told_by_arm(tuned: TunedStore) -> None:
    tuned.arms({"bl": [0.60, 0.62], "lw": [0.61, 0.65]})
    reported = tuned.runs().reported
    for run_id, method in zip(reported["run_id"], reported["method"], strict=True):
        ends = [(0.875, "false"), (1.0, "true")] if method == "lw" else [(1.0, "true")]
        line = '{{"index": 1, "test_accuracy": 0.5, "train_accuracy": {}, "converged": {}}}\n'
        path = tuned.store.results_dir / "runs" / run_id / "rounds.jsonl"
        path.write_text("".join(line.format(*end) for end in ends))
    table = rounds_table(collect(tuned.store.results_dir))
    assert [str(cell) for cell in table.rows[0].cells] == ["100.0", "87.5"]
    assert table.notes[0].startswith("of 6 rounds 4 ended by the rule of trainer.patience_epochs")


def test_the_learning_curve_has_the_baseline_and_the_arms_with_runs_at_every_size(tuned: TunedStore) -> None:
    for examples, more in ((100, 0.02), (1000, 0.01)):
        tuned.arms({"bl": [0.60, 0.62], "lw": [0.60 + more, 0.62 + more]}, dataset__train_examples=examples)
    tuned.arm("fc", [0.7, 0.7])  # at one size
    figure = by_size(collect(tuned.store.results_dir))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["BL", "LW"]
    top, bottom = figure.axes
    shown = {line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in top.lines}
    assert shown["BL"] == [(100.0, pytest.approx(61)), (1000.0, pytest.approx(61))]
    assert list(bottom.lines[0].get_ydata()) == pytest.approx([2.0, 1.0])


def test_noise_is_shown_of_settings_that_differ_in_nothing_else(tuned: TunedStore) -> None:
    standard = {"augmentation__name": "standard"}
    for accuracy, settings in (
        (0.50, {"dataset__train_examples": 100}),  # has no wrong labels to compare with
        (0.60, {}),
        (0.55, {"dataset__label_noise": 0.4}),
        (0.70, standard),
        (0.65, {"dataset__label_noise": 0.4, **standard}),
    ):
        tuned.arms({"bl": [accuracy] * 2, "lw": [accuracy + 0.01] * 2}, **settings)
    figure = by_noise(collect(tuned.store.results_dir))
    plain, regularized, *_ = figure.axes
    titles = [axes.get_title() for axes in (plain, regularized)]
    assert titles == ["scnn, 1,000 images, not regularized", "scnn, 1,000 images, regularized"]
    for axes, bl in ((plain, [60, 55]), (regularized, [70, 65])):
        assert [list(line.get_ydata()) for line in axes.lines] == [
            pytest.approx(bl),
            pytest.approx([a + 1 for a in bl]),
        ]


def test_the_forest_and_the_spread_are_of_every_arm(tuned: TunedStore) -> None:
    tuned.arm("bl", [0.60, 0.62, 0.61], validation=(0.2, 0.7, 0.6))
    tuned.arms({"fc": [0.62, 0.63, 0.61], "swr": [0.60, 0.61, 0.61]})
    collection = collect(tuned.store.results_dir)
    (whole, *_) = draw(collection).axes
    assert [text.get_text() for text in whole.get_yticklabels()] == ["SWR", "FC"]
    marks = [line.get_xdata()[0] for line in whole.lines if len(line.get_xdata()) == 1]
    assert marks == pytest.approx([1.0, -1 / 3])
    (axes,) = spread(collection).axes
    assert [line.get_ydata()[0] for line in axes.lines[::2]] == pytest.approx([50, 20, 20])
    low, high = axes.get_ylim()
    assert (low, high > 50, axes.get_yscale()) == (0, True, "symlog")  # an arm that fails hides no other
    with pytest.raises(NothingToDraw, match="two shares of wrong labels; reinit-bench -m study=verdict_fraction"):
        by_noise(collection)
