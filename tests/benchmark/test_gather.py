import numpy as np
import pytest

from fastlogit.benchmark import gather
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.problem import build
from fastlogit.models import MODELS


def test_the_models_without_a_hidden_layer_are_bound_by_it():
    assert [name for name in MODELS if gather.gather_bound(name)] == ["logistic", "softmax"]


def test_every_row_is_fetched_in_its_order_every_time(monkeypatch, small_case):
    problem, fetched, take = build(small_case), [], np.take

    def spy(X, order, axis, out):
        take(X, order, axis=axis, out=out)
        fetched.append((order, out.copy()))

    monkeypatch.setattr(gather.np, "take", spy)
    assert gather.gather_seconds(problem, repeats=3) > 0
    assert len(fetched) == (3 + 1) * len(problem.order)
    for i, (order, rows) in enumerate(fetched):
        assert order.tolist() == problem.order[i % len(problem.order)].tolist()
        assert (rows == problem.X[order]).all()


def test_it_grows_with_the_rows():
    few, many = (
        build(Grid(models=("logistic",), datasets=(name,), epochs=1).cases()[0])
        for name in ("iris", "classification-20000x64x2")
    )
    assert gather.gather_seconds(many) > 5 * gather.gather_seconds(few)


@pytest.mark.parametrize("repeats", [1, 3])
def test_it_is_the_best_of_the_repeats(monkeypatch, small_case, repeats):
    clock = iter([0.0, 9.0, 10.0, 13.0, 20.0, 22.0, 30.0, 35.0])
    monkeypatch.setattr(gather.time, "perf_counter", lambda: next(clock))
    assert gather.gather_seconds(build(small_case), repeats) == {1: 3.0, 3: 2.0}[repeats]
