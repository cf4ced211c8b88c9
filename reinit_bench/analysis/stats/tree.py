"""Figure 3's decision tree: which method is the best in a setting, from the setting's design (Section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reinit_bench.analysis.stats.scores import Scores, is_best

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

Matrix = np.ndarray[Any, np.dtype[np.float64]]
"""Features, or which methods are best (1.0 or 0.0), a row for each setting."""

MIN_LEAF = 7
MAX_DEPTH = 4
"""The paper's settings."""

IMPURE = 0.5
"""Above this Gini index the paper names a leaf's top methods rather than one."""

FOLDS = 10
REPEATS = 10


@dataclass(frozen=True, kw_only=True)
class Question:
    """One yes/no question on a setting: its feature is at most `threshold`; yes is the right branch where `flag`."""

    feature: str
    threshold: float
    flag: bool

    def words(self) -> str:
        """The question as drawn; its answers are yes and no."""
        return f"{self.feature}?" if self.flag else f"{self.feature} ≤ {self.threshold:,.6g}?"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of the fitted tree.

    Attributes:
        shares: by method, in what share of the node's settings it is the best; a tie is shared equally.
        n: settings in the node.
        question: None in a leaf.
        yes, no: the nodes below.
    """

    shares: Mapping[str, float]
    n: int
    question: Question | None = None
    yes: Node | None = None
    no: Node | None = None

    @property
    def gini(self) -> float:
        return 1 - sum(share**2 for share in self.shares.values())

    @property
    def top(self) -> tuple[str, ...]:
        """The best method; where the node is impure the best ones that together make up more than half of it."""
        order = sorted(self.shares, key=lambda name: -self.shares[name])
        if self.gini <= IMPURE:
            return tuple(order[:1])
        shares = np.cumsum([self.shares[name] for name in order])
        return tuple(order[: int(np.searchsorted(shares, 0.5, side="right")) + 1])

    def leaves(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Every leaf with the answers that lead to it."""
        if self.question is None or self.yes is None or self.no is None:
            yield path, self
            return
        words = self.question.words()
        yield from self.yes.leaves((*path, f"{words} yes"))
        yield from self.no.leaves((*path, f"{words} no"))


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A fitted tree and how far to trust it.

    Attributes:
        n: settings it was fitted to; `ties` of them have several best methods.
        fitted: share of these settings for which the tree names a best method.
        by_setting, by_dataset: the same for settings not fitted to, in ten folds (mean of ten draws), and for all
            settings of a dataset not fitted to; each followed by the share for which the method that is best most
            often in the fitted part is a best one. None where there are too few settings or datasets.
    """

    root: Node
    n: int
    ties: int
    fitted: float
    by_setting: tuple[float, float] | None
    by_dataset: tuple[float, float] | None


def fit(scores: Scores) -> Tree | None:
    """Fit the paper's tree to the settings in which all methods finished; None for fewer than two leaves' worth."""
    scores = scores.common()
    frame = scores.complete.dropna(subset=["examples", "classes"]).reset_index(drop=True)
    if len(frame) < 2 * MIN_LEAF or len(scores.methods) < 2:
        return None
    from sklearn.model_selection import LeaveOneGroupOut, RepeatedKFold

    features, best = _features(frame), is_best(frame, list(scores.methods)).astype(float)
    values, is_a_best = (
        features.to_numpy(),
        best[sorted(map(str, best))].to_numpy(),
    )  # of equal methods the first is named
    classifier = _fitted(values, is_a_best)
    folds = RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0).split(values)
    several = frame["dataset"].nunique() > 1
    datasets = LeaveOneGroupOut().split(values, groups=frame["dataset"]) if several else []
    enough = ((fitted, held_out) for fitted, held_out in datasets if len(fitted) >= 2 * MIN_LEAF)
    return Tree(
        root=_node(classifier, [str(name) for name in features], best, features),
        n=len(frame),
        ties=int((best.sum(axis=1) > 1).sum()),
        fitted=_right(classifier, values, is_a_best),
        by_setting=_held_out(values, is_a_best, folds),
        by_dataset=_held_out(values, is_a_best, enough),
    )


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    """The paper's features, one column each, the architecture one column per name; without those that never vary."""
    columns: dict[str, Any] = {"training examples": frame["examples"], "classes": frame["classes"]}
    columns |= {f"architecture {name}": frame["model"] == name for name in sorted(frame["model"].unique())}
    columns["dropout"] = frame["dropout_rate"] > 0
    columns["augmentation"] = frame["augmentation"] != "none"
    columns["He normal initializer"] = frame["initializer"] == "he_normal"
    table = pd.DataFrame(columns).astype(float)
    return table[[name for name in table if table[name].nunique() > 1]]


def _fitted(features: Matrix, best: Matrix) -> DecisionTreeClassifier:
    """scikit-learn's tree, whose classes are columns of `best`.

    A setting with several best methods enters with each, at an equal share of its weight.
    """
    from sklearn.tree import DecisionTreeClassifier

    rows, columns = np.nonzero(best)
    weights = 1 / best.sum(axis=1)[rows]
    # The size of a leaf is counted in settings, not in the entries of tied ones; the margin is for rounding.
    least = min(0.5, (MIN_LEAF - 1e-6) / len(best))
    classifier = DecisionTreeClassifier(
        min_samples_leaf=MIN_LEAF, min_weight_fraction_leaf=least, max_depth=MAX_DEPTH, random_state=0
    )
    return classifier.fit(features[rows], columns, sample_weight=weights)


def _node(
    classifier: DecisionTreeClassifier, names: list[str], best: pd.DataFrame, features: pd.DataFrame, at: int = 0
) -> Node:
    """The node number `at` of scikit-learn's arrays with all below it; `best` and `features` are its settings'."""
    shared = best.div(best.sum(axis=1), axis=0).mean()
    shares = {str(name): float(share) for name, share in shared.items()}
    tree = classifier.tree_
    if tree.children_left[at] < 0:
        return Node(shares=shares, n=len(best))
    feature, threshold = names[tree.feature[at]], float(tree.threshold[at])
    flag = set(features[feature]) <= {0.0, 1.0}
    left = features[feature] <= threshold
    below = _node(classifier, names, best[left], features[left], tree.children_left[at])
    above = _node(classifier, names, best[~left], features[~left], tree.children_right[at])
    yes, no = (above, below) if flag else (below, above)
    question = Question(feature=feature, threshold=threshold, flag=flag)
    return Node(shares=shares, n=len(best), question=question, yes=yes, no=no)


def _right(classifier: DecisionTreeClassifier, features: Matrix, best: Matrix) -> float:
    """For what share of these settings the tree names a best method."""
    return float(np.mean(best[np.arange(len(best)), classifier.predict(features)]))


def _held_out(features: Matrix, best: Matrix, splits: Iterable[tuple[Any, Any]]) -> tuple[float, float] | None:
    """Over what is held out: how often the tree is right, and how often the fitted part's most frequent best method."""
    found = []
    for fitted, held_out in splits:
        known, unknown = best[fitted], best[held_out]
        usual = (known / known.sum(axis=1, keepdims=True)).sum(axis=0).argmax()
        right = _right(_fitted(features[fitted], known), features[held_out], unknown)
        found.append((len(held_out), right, float(unknown[:, usual].mean())))
    if not found:
        return None
    rows = np.array(found)
    weights = rows[:, 0] / rows[:, 0].sum()
    return float(weights @ rows[:, 1]), float(weights @ rows[:, 2])
