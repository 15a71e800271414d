"""One step: training on a single batch, with the cost of the call."""

import pytest

from fastlogit.benchmark.problem import build

COMPARISON = "same-steps"


@pytest.mark.benchmark(max_time=0.05, min_rounds=5)
def test_step(measure, case, kind):
    measure("step", case, kind, build=lambda case: build(case).first_batch())
