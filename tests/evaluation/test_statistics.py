"""Errors, tests and corrections against naive references and published figures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hf_augment.evaluation.statistics import (
    SMALLEST_P,
    CrossedError,
    cohens_h,
    crossed_bootstrap,
    crossed_error,
    holm,
    mcnemar,
)


variances = st.floats(0, 0.1)
errors = st.builds(
    CrossedError, variances, st.floats(1e-6, 0.1), variances, st.integers(0, 20), st.integers(2, 30_000)
)
levels = st.floats(1e-4, 0.9)


def outcomes(gained, lost, same):
    """The rows of one pair of runs."""
    return np.repeat([[1.0, -1.0, 0.0]], [gained, lost, same], axis=1)


def test_the_parts_of_the_error_are_those_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    units, rows = 4, 30
    gains = rng.choice([-1.0, 0.0, 1.0], (units, rows)) + rng.choice([0, 1.0], rows) * 0.5
    error = crossed_error(gains)
    grand = sum(gains[u, r] for u in range(units) for r in range(rows)) / (units * rows)
    of_unit = [sum(gains[u]) / rows for u in range(units)]
    of_row = [sum(gains[:, r]) / units for r in range(rows)]
    unit_square = rows * sum((x - grand) ** 2 for x in of_unit) / (units - 1)
    residual_square = sum(
        (gains[u, r] - of_unit[u] - of_row[r] + grand) ** 2 for u in range(units) for r in range(rows)
    ) / ((units - 1) * (rows - 1))
    assert error.units == pytest.approx(unit_square / (units * rows))
    assert error.residual == pytest.approx(residual_square / (units * rows))
    assert error.rows == pytest.approx(np.var([*of_row, 1, -1], ddof=1) / (rows + 2))
    assert (error.unit_df, error.row_df) == (3, 31)


@pytest.mark.parametrize(
    ("same", "gained", "lost", "published"),
    # The examples of `ci.prop.ps` and `se.prop.ps` in the R packages statpsych and vcmeta.
    [(18, 26, 4, 0.09448809), (31, 64, 5, 0.05953213)],
)
def test_one_pair_of_runs_has_the_standard_error_of_bonett_and_price(same, gained, lost, published):
    rows = same + gained + lost
    error = crossed_error(outcomes(gained, lost, same))
    assert (error.units, error.residual, error.unit_df) == (0, 0, 0)
    # Theirs divides by n where a sample's variance divides by n - 1.
    assert math.sqrt(error.rows * (rows + 1) / (rows + 2)) == pytest.approx(published, rel=1e-6)


@pytest.mark.parametrize(("gained", "lost"), [(5, 0), (6, 0), (8, 2), (9, 1), (30, 18), (12, 12)])
def test_one_pair_of_runs_agrees_with_the_exact_test(gained, lost):
    gains = outcomes(gained, lost, 2000 - gained - lost)
    found, exact = crossed_error(gains).p_value(gains.mean()), mcnemar(gained, lost)
    assert found == pytest.approx(exact, abs=0.06)
    assert (found < 0.05) == (exact < 0.05)


def test_an_error_of_units_alone_or_rows_alone_is_student_s_t():
    sample = np.array([0.03, 0.05, -0.01, 0.04, 0.02])
    expected = stats.ttest_1samp(sample, 0)
    error = CrossedError(sample.var(ddof=1) / 5, 0.0, 0.0, 4, 101)
    assert error.half_width(0.05) == pytest.approx(expected.confidence_interval(0.95).high - sample.mean())
    assert error.p_value(sample.mean()) == pytest.approx(expected.pvalue)
    error = CrossedError(0.0, sample.var(ddof=1) / 5, 0.0, 0, 4)
    assert error.half_width(0.05) == pytest.approx(expected.confidence_interval(0.95).high - sample.mean())
    assert error.p_value(-sample.mean()) == pytest.approx(expected.pvalue)


def test_each_part_has_its_own_quantile_and_the_residual_counts_once():
    error = CrossedError(4e-4, 3e-4, 1e-4, 2, 999)
    of_units, of_rows = stats.t.isf(0.025, 2), stats.t.isf(0.025, 999)
    assert error.half_width(0.05) == pytest.approx(math.sqrt(of_units**2 * 4e-4 + of_rows**2 * 2e-4))
    assert CrossedError(0.0, 3e-4, 1e-4, 2, 999).half_width(0.05) == pytest.approx(of_rows * math.sqrt(3e-4))
    assert CrossedError(4e-4, 1e-4, 3e-4, 2, 999).half_width(0.05) == pytest.approx(of_units * math.sqrt(4e-4))


@given(errors, levels)
def test_the_p_value_is_where_the_interval_touches_zero(error, level):
    half = error.half_width(level)
    assert error.p_value(half) == pytest.approx(level, rel=1e-6)
    assert error.p_value(-half) == error.p_value(half)
    assert error.p_value(1.1 * half) < level < error.p_value(0.9 * half)
    assert error.p_value(0.0) == 1.0


@given(errors, levels)
def test_an_interval_is_never_narrower_than_over_units_or_rows_alone(error, level):
    rows = CrossedError(0.0, error.rows, 0.0, 0, error.row_df).half_width(level)
    units = CrossedError(error.units, 0.0, 0.0, error.unit_df, error.row_df).half_width(level)
    assert error.half_width(level) >= max(rows, units) * (1 - 1e-12)
    assert error.half_width(level) > error.half_width(min(1.05 * level, 1.0))


def test_no_p_value_is_zero():
    assert CrossedError(0.0, 1e-12, 0.0, 0, 10_000).p_value(1.0) == SMALLEST_P
    assert CrossedError(1e-4, 1e-4, 0.0, 1, 10_000).p_value(1e90) < 1e-80


@pytest.mark.parametrize("df", [1, 2, 4, 9, 2001])
@pytest.mark.parametrize("level", [0.05, 0.05 / 6])
def test_an_effect_as_large_as_said_is_found_four_times_in_five(df, level):
    # A comparison says what it could have found; another one, with as many units, looks for that.
    rng, times = np.random.default_rng(df), 200_000
    said, other = (np.sqrt(rng.chisquare(df, times) / df) for _ in range(2))
    multiple = CrossedError(1.0, 0.0, 0.0, df, 9).detectable(level)
    assert multiple == CrossedError(0.0, 1.0, 0.0, 0, df).detectable(level)
    found = multiple * said + rng.normal(size=times) > stats.t.isf(level / 2, df) * other
    assert found.mean() == pytest.approx(0.8, abs=0.005)
    assert CrossedError(0.0, 1.0, 0.0, 0, df).detectable(level, power=0.9) > multiple


def test_with_many_degrees_of_freedom_it_is_bloom_s_multiple():
    multiple = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    assert CrossedError(0.0, 1.0, 0.0, 0, 100_000).detectable(0.05) == pytest.approx(multiple, rel=1e-3)


def test_mcnemar_is_a_sum_of_binomial_probabilities():
    for gained, lost in [(8, 2), (3, 9), (5, 5), (0, 6), (1, 0)]:
        n = gained + lost
        tail = sum(math.comb(n, k) for k in range(max(gained, lost), n + 1)) / 2**n
        assert mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * tail))
        assert mcnemar(lost, gained) == mcnemar(gained, lost)
    assert mcnemar(0, 0) == 1.0


def test_holm_s_published_examples():
    # The documentation of stdlib's `padjust`, whose reference is R.
    assert holm([0.319, 0.201, 0.4, 0.374, 0.113]) == pytest.approx([0.957, 0.804, 0.957, 0.957, 0.565])
    # The documentation of `Holm` in the R package HDLSSkST: which of these are rejected at 5 %.
    corrected = holm([0.50, 0.01, 0.001, 0.69, 0.02, 0.05, 0.0025])
    assert [p < 0.05 for p in corrected] == [False, False, True, False, False, False, True]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_steps_down(p_values, level):
    # The procedure as published: the smallest first, each against a looser bound, until one fails.
    rejected = set()
    for left, i in zip(range(len(p_values), 0, -1), np.argsort(p_values, kind="stable"), strict=True):
        if p_values[i] * left >= level:
            break
        rejected.add(int(i))
    corrected = holm(p_values)
    assert {i for i, p in enumerate(corrected) if p < level} == rejected
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))


def test_cohens_h():
    assert cohens_h(1.0, 0.0) == pytest.approx(math.pi)
    assert cohens_h(0.5, 0.5) == 0.0
    # The sines of 60 and 30 degrees, squared.
    assert cohens_h(0.75, 0.25) == pytest.approx(math.pi / 3)
    assert cohens_h(0.40, 0.65) == -cohens_h(0.65, 0.40)
    assert cohens_h(0.99, 0.97) > cohens_h(0.52, 0.50)


@pytest.mark.parametrize("units", [1, 6])
def test_the_bootstrap_is_that_of_drawn_units_and_rows(units):
    rng = np.random.default_rng(3)
    gains = rng.choice([-1.0, 0.0, 1.0], (units, 80), p=[0.1, 0.7, 0.2]) + rng.normal(0, 0.1, (units, 1))
    naive = [gains[np.ix_(rng.integers(0, units, units), rng.integers(0, 80, 80))].mean() for _ in range(8000)]
    low, high = crossed_bootstrap(gains, seed=0, draws=30_500)
    # Four standard errors of the quantiles.
    assert (low, high) == pytest.approx(tuple(np.quantile(naive, (0.025, 0.975))), abs=0.15 * np.std(naive))
    assert crossed_bootstrap(gains, seed=0, draws=30_500) == (low, high)
    if units > 1:
        assert crossed_bootstrap(gains, seed=1, draws=30_500) != (low, high)
    assert crossed_bootstrap(np.full((units, 3), 0.25), seed=0) == pytest.approx((0.25, 0.25))
