"""One step: training on a single batch, with the cost of the call."""

import pytest

from fastlogit.benchmark.problem import build

COMPARISON = "same-steps"


@pytest.mark.benchmark(max_time=0.05, min_rounds=5)
def test_step(measure, case, implementation):
    measure("step", case, implementation, build=lambda case: build(case).first_batch())
