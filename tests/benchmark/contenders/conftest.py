"""Cases for the peers: every model, solver and dtype, with a last short batch and without."""

from dataclasses import replace

import pytest
import threadpoolctl

from fastlogit.benchmark.cases import DTYPES, Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.problem import build


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture
def case(model, solver, dtype):
    """150 rows of iris in batches of 32: the last one has 22."""
    grid = Grid(models=(model,), datasets=("iris",), solvers=(solver,), dtypes=(dtype,), epochs=20)
    return grid.cases()[0]


@pytest.fixture
def sgd_case():
    return Grid(models=("mlp-softmax",), datasets=("iris",), epochs=3).cases()[0]


@pytest.fixture
def in_batches():
    return lambda case, rows: replace(case, batch_size=rows)


@pytest.fixture
def prepared():
    """Give a contender that is ready to run a case, and the case's problem."""

    def prepare(name, case):
        problem = build(case)
        contender = CONTENDERS[name]()
        with threadpoolctl.threadpool_limits(1):
            contender.prepare(problem)
            contender.first_run()
        return contender, problem

    return prepare
