"""Cases for the libraries: every model, solver and dtype, with a last short batch and without."""

from dataclasses import replace

import pytest
import threadpoolctl
from small_cases import training_case

from fastlogit.benchmark.cases import DTYPES
from fastlogit.benchmark.problem import build


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture
def case(model, solver, dtype):
    """150 rows of iris in batches of 32: the last one has 22."""
    return training_case(model, "iris", solver=solver, dtype=dtype, epochs=20)


@pytest.fixture
def sgd_case():
    return training_case("mlp-softmax", "iris", epochs=3)


@pytest.fixture
def with_batches():
    return lambda case, rows: replace(case, batch_size=rows)


@pytest.fixture
def prepared():
    """Return an implementation that is ready to run a case, and the case's problem."""

    def prepare(kind, case):
        problem, implementation = build(case), kind()
        with threadpoolctl.threadpool_limits(1):
            implementation.prepare(problem)
            implementation.first_call()
        return implementation, problem

    return prepare
