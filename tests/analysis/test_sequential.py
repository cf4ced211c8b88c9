"""The sequential rule: exact values, and by 10,000 simulated studies its errors and its power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm, t, ttest_1samp

from reinit_bench.analysis.stats.sequential import (
    CANNOT,
    Rule,
    boundaries_of,
    evidence,
    follow,
    interval_margin,
    largest,
    over_settings_p,
    repeated_p,
    words,
)
from reinit_bench.analysis.stats.significance import holm

RULE = Rule.from_dict(
    {"contrasts": [["lw", "bl"]], "looks": [16, 32, 64], "boundaries": [3.956, 2.798, 1.978], "margin": 0.3}, "a study"
)
FRACTIONS = (0.25, 0.5, 1.0)
STUDIES = 10_000


def simulated(effect: float, deviation: float, settings: int = 3) -> np.ndarray:
    """Differences by study, setting and seed."""
    return np.random.default_rng(0).normal(effect, deviation, (STUDIES, settings, 64))


def said(differences: np.ndarray) -> list[list[tuple[str, ...]]]:
    """The words of each study's settings after all looks."""
    found = evidence(differences, RULE)
    p, smaller, larger = ([holm(list(row)) for row in found[place].tolist()] for place in (0, 2, 3))
    return [
        [words(*each, RULE) for each in zip(*study, strict=True)]
        for study in zip(p, found[1].tolist(), smaller, larger, strict=True)
    ]


def share(studies: list[list[tuple[str, ...]]], *wanted: str) -> float:
    """Of how many studies any setting has one of these words."""
    return float(np.mean([any(set(wanted) & set(one) for one in study) for study in studies]))


@pytest.mark.parametrize("reached", [0.5, 1.0, 1.978, 3.0, 4.5])
def test_the_repeated_p_is_the_trivariate_normals(reached: float) -> None:
    covariance = np.minimum.outer(FRACTIONS, FRACTIONS)
    inside = multivariate_normal.cdf([reached] * 3, np.zeros(3), covariance, lower_limit=[-reached] * 3, abseps=1e-9)
    assert repeated_p(reached, FRACTIONS) == pytest.approx(1 - inside, rel=1e-3)


def test_the_boundaries_are_the_ones_that_are_sealed() -> None:
    assert boundaries_of((16, 32, 64), 0.05) == pytest.approx(RULE.boundaries, abs=0.0015)
    assert boundaries_of((10,), 0.05) == pytest.approx([norm.isf(0.025)])


def test_c_is_the_largest_over_the_looks_of_a_t_tests_z_and_has_its_looks_direction() -> None:
    differences = np.random.default_rng(1).normal(0.5, 1.0, 64)
    differences[32:] -= 1.5
    z = [norm.isf(ttest_1samp(differences[:n], 0.0).pvalue / 2) * np.sqrt(n / 64) for n in RULE.looks]
    reached, sign = largest(differences, RULE.looks)
    assert reached == pytest.approx(max(z))
    assert sign == np.sign(differences[: RULE.looks[int(np.argmax(z))]].mean())
    assert largest(np.zeros(16), RULE.looks)[0] == 0  # no difference at all is none


def test_the_interval_reaches_t_standard_errors() -> None:
    differences = np.random.default_rng(2).normal(0.5, 1.0, 32)
    quantile = t.isf(norm.sf(2.798), 31)
    assert interval_margin(differences, RULE) == pytest.approx(quantile * differences.std(ddof=1) / np.sqrt(32))


def test_without_an_effect_one_study_of_twenty_at_most_says_that_there_is_one() -> None:
    assert 0.03 < share(said(simulated(0.0, 0.7)), "shown", "worse") <= 0.055


def test_of_an_effect_of_the_margin_one_study_of_forty_at_most_says_that_it_is_smaller() -> None:
    assert 0.018 < share(said(simulated(0.3, 0.5)), "smaller than 0.3", "equivalent") <= 0.028
    assert share(said(simulated(-0.3, 0.5)), "equivalent") <= 0.028


def test_the_interval_covers_the_effect_at_whatever_look_one_stops() -> None:
    """The worst way to stop: at the first look whose interval leaves the effect out."""
    differences, covered = simulated(0.4, 0.7, 1)[:, 0], np.ones(STUDIES, dtype=bool)
    for z, n in zip(RULE.boundaries, RULE.looks, strict=True):
        part = differences[:, :n]
        margin = t.isf(norm.sf(z), n - 1) * part.std(axis=1, ddof=1) / np.sqrt(n)
        covered &= np.abs(part.mean(axis=1) - 0.4) <= margin
    assert 0.945 < covered.mean() < 0.957


@pytest.mark.parametrize(("deviation", "power"), [(0.5, 0.99), (0.7, 0.83), (1.0, 0.48)])
def test_the_power_to_show_a_gain_of_the_margin_at_holms_first_step_of_three(deviation: float, power: float) -> None:
    p, signs, *_ = evidence(simulated(0.3, deviation, 1)[:, 0], RULE)
    assert np.mean((p <= RULE.level / 3) & (signs > 0)) == pytest.approx(power, abs=0.01)


def test_a_setting_with_its_words_is_looked_at_no_more_and_the_others_go_on() -> None:
    rng = np.random.default_rng(3)
    clear, noise = rng.normal(2.0, 0.5, 64), rng.normal(0.3, 2.0, 64)
    contrast = ("lw", "bl")
    found = follow({"a": {contrast: clear}, "b": {contrast: noise}}, RULE)
    assert (found.looked, found.wanted) == ({"a": 16, "b": 64}, {})
    assert found.judgements["a", contrast].words == ("shown",)
    assert (found.judgements["a", contrast].n, found.judgements["b", contrast].words) == (16, (CANNOT,))
    waiting = follow({"a": {contrast: clear}, "b": {contrast: noise[:20]}}, RULE)
    assert (waiting.looked, waiting.wanted) == ({"a": 16, "b": 16}, {"b": 32})


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0.04, 1, 1.0, 0.01), ("shown",)),
        ((0.04, 1, 0.02, 0.01), ("shown", "equivalent")),
        ((0.04, -1, 0.01, 1.0), ("worse",)),
        ((0.06, 1, 0.02, 0.03), ("smaller than 0.3",)),
        ((0.06, -1, 0.03, 0.02), (CANNOT,)),
    ],
)
def test_what_may_be_said(numbers: tuple[float, float, float, float], expected: tuple[str, ...]) -> None:
    assert words(*numbers, RULE) == expected


def test_over_settings_signs_are_flipped_by_whole_seeds() -> None:
    by_seed = np.array([[1.0, 3.0], [2.0, 0.0], [0.5, 0.5]])  # means of 2, 1 and 0.5: no other signs reach 3.5 but all
    assert over_settings_p(by_seed) == 2 / 8
