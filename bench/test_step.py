"""One step: training on a single batch, with the cost of the call."""

import pytest


@pytest.mark.benchmark(max_time=0.05, min_rounds=5)
def test_step(time_training, kind, problem):
    time_training("step", kind, problem.first_batch())
