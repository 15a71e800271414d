"""One epoch of training, through `fastlogit.train`."""

import pytest


@pytest.mark.benchmark(max_time=0.05, min_rounds=5)
def test_epoch(time_training, kind, problem):
    time_training("epoch", kind, problem)
