"""Figure 3's tree on made cases whose split is known, and on the published numbers as measured."""

import pytest
from fake_runs import collection_of, fake_grid, fake_run

from reinit_bench.analysis.frame.collect import published_runs
from reinit_bench.analysis.stats import tree as trees
from reinit_bench.analysis.stats.scores import scores_by_setting
from reinit_bench.analysis.stats.tree import MIN_LEAF, Node, Question, fit
from reinit_bench.analysis.tables.table_tree import tree_table


@pytest.fixture(autouse=True)
def one_draw_of_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten draws take their time and change nothing here."""
    monkeypatch.setattr(trees, "REPEATS", 1)


DATASETS = ("CIFAR10", "CIFAR100", "BIRDS2010")


def resnet_is_different(dataset: str, model: str, method: str, number: int) -> float:
    return 60.0 if method == ("bl" if model == "resnet50" else "lw") else 50.0


def test_the_split_that_was_put_in_is_found() -> None:
    tree = fit(scores_by_setting(fake_grid(DATASETS, ["scnn", "resnet50"], ["bl", "fc", "lw"], resnet_is_different)))
    assert tree is not None
    root = tree.root
    assert root.question is not None
    assert root.question.words() in ("architecture resnet50?", "architecture scnn?")
    leaves = {path: (leaf.top, leaf.n, leaf.gini) for path, leaf in root.leaves()}
    yes_means_resnet = root.question.feature == "architecture resnet50"
    first, second = (("bl",), 18, 0.0), (("lw",), 18, 0.0)
    words = root.question.words()
    assert leaves == {
        (f"{words} yes",): first if yes_means_resnet else second,
        (f"{words} no",): second if yes_means_resnet else first,
    }
    assert (tree.n, tree.ties, tree.fitted) == (36, 0, 1.0)
    assert tree.by_dataset == (1.0, 0.5)
    assert tree.by_setting is not None
    assert tree.by_setting[0] == pytest.approx(1.0)
    # Half of the settings are lw's: the most frequent of the rest is the other half's more often than not.
    assert tree.by_setting[1] < 0.5


def test_a_numeric_question_is_yes_below_its_threshold() -> None:
    def small_is_different(dataset: str, model: str, method: str, number: int) -> float:
        return 60.0 if method == ("fc" if dataset == "BIRDS2010" else "lw") else 50.0

    tree = fit(
        scores_by_setting(
            fake_grid(("CIFAR10", "BIRDS2010"), ["scnn", "vgg16"], ["bl", "fc", "lw"], small_is_different)
        )
    )
    assert tree is not None
    assert tree.root.yes is not None
    question = tree.root.question
    assert question in (
        Question(feature="training examples", threshold=26_500.0, flag=False),
        Question(feature="classes", threshold=105.0, flag=False),
    )
    few_examples = question.feature == "training examples"
    assert tree.root.yes.top == (("fc",) if few_examples else ("lw",))


def test_no_leaf_is_smaller_than_seven_settings_even_with_ties() -> None:
    # Every setting is a tie of two: entered twice, leaves could otherwise have four settings.
    def tied(dataset: str, model: str, method: str, number: int) -> float:
        winners = ("bl", "lw") if number == 0 else ("fc", "lw")
        return 60.0 if method in winners else 50.0

    tree = fit(scores_by_setting(fake_grid(DATASETS, ["scnn", "vgg16"], ["bl", "fc", "lw"], tied)))
    assert tree is not None
    assert tree.ties == tree.n == 36
    assert min(leaf.n for _, leaf in tree.root.leaves()) >= MIN_LEAF
    assert tree.root.shares == {"bl": pytest.approx(1 / 12), "fc": pytest.approx(5 / 12), "lw": 0.5}
    assert tree.fitted == 1.0  # lw is among the best everywhere


def test_settings_without_all_methods_or_of_unknown_size_are_not_fitted_to() -> None:
    whole = fake_grid(DATASETS, ["scnn"], ["bl", "lw"], lambda d, m, method, n: 50.0 + (method == "lw"))
    rows = whole.frame.to_dict("records")
    more = [
        fake_run("CASSAVA", "scnn", "lw", 99.0),
        fake_run("MINE", "scnn", "lw", 99.0),
        fake_run("MINE", "scnn", "bl", 98.0),
    ]
    tree = fit(scores_by_setting(collection_of([*rows, *more])))
    assert tree is not None
    assert tree.n == 18


def test_too_few_settings_have_no_tree() -> None:
    assert fit(scores_by_setting(fake_grid(("CIFAR10", "CIFAR100"), ["scnn"], ["bl", "lw"], lambda *_: 50.0))) is None
    assert fit(scores_by_setting(collection_of([]))) is None


def test_an_impure_leaf_names_what_makes_up_more_than_half_of_it() -> None:
    def top(**shares: float) -> tuple[str, ...]:
        return Node(shares=shares, n=9).top

    assert top(a=0.8, b=0.2) == ("a",)
    assert top(a=0.45, b=0.35, c=0.2) == ("a", "b")
    assert top(a=0.5, b=0.25, c=0.25) == ("a", "b")
    assert top(a=0.6, b=0.2, c=0.2) == ("a",)


def test_the_published_tree_as_measured() -> None:
    tree = fit(scores_by_setting(published_runs()))
    assert tree is not None
    assert (tree.n, tree.ties) == (127, 11)
    assert tree.root.question == Question(feature="architecture resnet50", threshold=0.5, flag=True)
    assert tree.fitted == pytest.approx(79 / 127)
    assert tree.by_dataset == (pytest.approx(65 / 127), pytest.approx(63 / 127))
    assert tree.root.shares["lw"] == pytest.approx(0.4478, abs=1e-4)
    # The paper's text: LW everywhere but with ResNet50 and large training sets.
    best = {path: leaf.top[0] for path, leaf in tree.root.leaves()}
    resnet = {top for path, top in best.items() if path[0] == "architecture resnet50? yes"}
    others = [top for path, top in best.items() if path[0] == "architecture resnet50? no"]
    assert resnet == {"lw", "dsd", "wels"}
    assert (others.count("lw"), others.count("fc"), len(others)) == (4, 2, 6)


def test_the_trees_table() -> None:
    collection = fake_grid(DATASETS, ["scnn", "resnet50"], ["bl", "lw"], resnet_is_different)
    table = tree_table(collection)
    assert {row.headings[1] for row in table.rows} == {"18"}
    assert sorted(tuple(cell.text for cell in row.cells) for row in table.rows) == [
        ("0%", "100%", "0.00"),
        ("100%", "0%", "0.00"),
    ]
    assert list(table.data.columns) == ["leaf", "n", "gini", "top", "bl", "lw"]
    assert any("in datasets (one left out) not fitted to: 100.0%" in note for note in table.notes)
    assert tree_table(collection_of([])).notes == ("fewer than 14 settings in which all methods have finished",)
