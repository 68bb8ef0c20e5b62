from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from agent.bench.stats import accuracy, interval, macro, median, paired, percentile

CREDITS = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=40)


@given(CREDITS)
def test_alone_each_question_gives_the_usual_standard_error(credits: list[float]) -> None:
    found = accuracy(credits, range(len(credits)))
    assert found.n == found.clusters == len(credits)
    assert found.mean == pytest.approx(np.mean(credits))
    assert found.se == pytest.approx(np.std(credits, ddof=1) / math.sqrt(len(credits)), abs=1e-12)


@given(CREDITS)
def test_questions_copied_within_their_medium_tell_nothing_new(credits: list[float]) -> None:
    alone = accuracy(credits, range(len(credits)))
    copied = accuracy(credits * 3, [*range(len(credits))] * 3)
    assert copied.n == 3 * alone.n
    assert copied.mean == pytest.approx(alone.mean)
    assert copied.se == pytest.approx(alone.se, abs=1e-12)


def test_a_worked_example() -> None:
    # Mean 0.5; residuals per medium: a +0.5+0.5, b -0.5, c +0.5-0.5-0.5. Sum of squares 1 + 0.25 + 0.25 = 1.5.
    found = accuracy([1, 1, 0, 1, 0, 0], ["a", "a", "b", "c", "c", "c"])
    assert found.mean == 0.5
    assert found.se == pytest.approx(math.sqrt(1.5 * 3 / 2) / 6)


def test_without_values_there_is_no_mean_and_with_one_medium_no_error() -> None:
    nothing = accuracy([], [])
    assert (nothing.n, nothing.mean, nothing.se) == (0, None, None)
    one = accuracy([1, 0, 1], ["a", "a", "a"])
    assert one.mean == pytest.approx(2 / 3)
    assert one.se is None
    assert interval(one) == (None, None)
    assert macro([]).mean is None
    assert macro([([1.0], ["a"]), ([0.0, 1.0], ["a", "b"])]).se is None


def test_every_credit_needs_its_cluster() -> None:
    with pytest.raises(ValueError, match="one cluster per credit"):
        accuracy([1, 0], ["a"])
    with pytest.raises(ValueError, match="no pairs"):
        paired([1], [1, 0], ["a", "b"])


def test_groups_weigh_the_same_however_large() -> None:
    large, small = ([1.0, 0.0] * 50, range(100)), ([1.0, 1.0, 1.0, 0.0], range(1000, 1004))
    found = macro([large, small, ([], [])])
    errors = [accuracy(*large).se, accuracy(*small).se]
    assert found.n == 2
    assert found.mean == pytest.approx((0.5 + 0.75) / 2)
    assert found.se == pytest.approx(math.hypot(*(e for e in errors if e is not None)) / 2)


@given(CREDITS)
def test_two_groups_about_the_same_media_are_no_surer_than_one(credits: list[float]) -> None:
    group = (credits, range(len(credits)))
    assert macro([group, group]).se == pytest.approx(accuracy(*group).se, abs=1e-12)
    opposite = ([1 - c for c in credits], range(len(credits)))
    assert macro([group, opposite]).se == pytest.approx(0, abs=1e-7)


def test_pairs_agree_with_the_paired_t_test() -> None:
    rng = np.random.default_rng(7)
    a = [float(x) for x in rng.integers(0, 2, 60)]
    b = [float(x) for x in rng.integers(0, 2, 60)]
    found = paired(a, b, range(60))
    known = ttest_rel(b, a)
    bounds = known.confidence_interval(0.95)
    assert found.p == pytest.approx(known.pvalue)
    assert found.low == pytest.approx(bounds.low)
    assert found.high == pytest.approx(bounds.high)


def test_the_interval_of_clustered_pairs_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        shared = np.repeat(rng.normal(0.1, 0.3, 30), 4)
        found = paired([0.0] * 120, list(shared + rng.normal(0, 0.1, 120)), [i // 4 for i in range(120)])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high
    assert 0.91 <= held / 300 <= 0.985


@pytest.mark.parametrize(("b", "p"), [([1.0, 0.0, 1.0], 1.0), ([2.0, 1.0, 2.0], 0.0)])
def test_pairs_without_any_spread(b: list[float], p: float) -> None:
    found = paired([1.0, 0.0, 1.0], b, "abc")
    assert found.se == 0
    assert found.p == p


def test_pairs_of_one_medium_have_a_difference_and_no_error() -> None:
    found = paired([0, 0], [1, 0], ["a", "a"])
    assert (found.mean, found.se, found.low, found.p) == (0.5, None, None, None)
    assert paired([], [], []).mean is None


def test_percentiles() -> None:
    assert median([]) is None
    assert median([3.0, 1.0, 2.0, 10.0]) == 2.5
    assert percentile([1.0, 2.0], 95) == pytest.approx(1.95)
    assert percentile([4.0], 95) == 4.0
