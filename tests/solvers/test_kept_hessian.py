"""Steps by a Hessian that is kept: where they lead, and what their Hessian is."""

import numpy as np
import pytest

from fastlogit import LogisticRegression
from fastlogit.models import Rows
from fastlogit.solvers import kept_hessian
from fastlogit.solvers.kept_hessian import HessianSteps
from fastlogit.solvers.newton_steps import Hessian, LinearParams


def rows_of(K, weighted, n=300, D=7):
    rng = np.random.default_rng(K)
    weight = rng.uniform(0.5, 2, n) if weighted else np.empty(0)
    return Rows(rng.normal(size=(n, D)), rng.integers(K, size=n), weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("K", [3, 4])
def test_the_hessian_of_alike_classes_is_that_at_zero(K, fit_bias, weighted):
    rows = rows_of(K, weighted)
    Wt, b = np.zeros((K, 7)), np.zeros(K)
    params = LinearParams(rows, K, fit_bias)
    expected = Hessian(params, K, K).fill(Wt, b, rows.weight, params.scale, 0.3, 0.0)
    steps = HessianSteps(rows, K, fit_bias, 0.3)
    steps._use(np.arange(7))
    np.testing.assert_allclose(steps._hessian_of_alike(Wt, b), expected, atol=1e-14)


@pytest.mark.parametrize("l1_ratio", [0.6, 1.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.02, 10.0])
def test_a_kept_hessian_leads_to_the_same_optimum(monkeypatch, C, fit_intercept, l1_ratio):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 9)) @ rng.normal(size=(9, 9))
    y = (X @ rng.normal(size=(9, 5)) + rng.gumbel(size=(600, 5))).argmax(axis=1)
    fills = []
    fill = Hessian.fill
    monkeypatch.setattr(Hessian, "fill", lambda *args: fills.append(args) or fill(*args))
    fits = []
    for costly in (np.inf, 0.0):
        monkeypatch.setattr(kept_hessian, "COSTLY", costly)
        model = LogisticRegression(
            solver="saga", l1_ratio=l1_ratio, C=C, tol=1e-8, fit_intercept=fit_intercept
        )
        fits.append((model.fit(X, y), len(fills)))
        fills.clear()
    (each, n_each), (kept, n_kept) = fits
    assert n_each == each.n_iter_[0]
    assert n_kept < kept.n_iter_[0]
    np.testing.assert_allclose(kept.coef_, each.coef_, atol=1e-6)
    np.testing.assert_allclose(kept.intercept_, each.intercept_, atol=1e-6)
