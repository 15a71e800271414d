"""One epoch of training, through `fastlogit.train`."""

import pytest

COMPARISON = "same-steps"


@pytest.mark.benchmark(max_time=0.05, min_rounds=5)
def test_epoch(measure, case, implementation):
    measure("epoch", case, implementation)
