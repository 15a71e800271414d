"""A fit and a prediction of fastlogit's estimators and of scikit-learn's."""

import pytest

COMPARISON = "same-estimator"


@pytest.mark.benchmark(max_time=0.05, min_rounds=3)
def test_estimator(measure, case, implementation):
    measure(case.task, case, implementation)
