from dataclasses import replace

import numpy as np
import pytest

from fastlogit.benchmark.implementations.both_backends import Fastlogit, Numpy
from fastlogit.benchmark.problem import build
from fastlogit.benchmark.verification import compare, train_reference
from fastlogit.models import checks

BOTH = pytest.mark.parametrize("kind", [Numpy, Fastlogit], ids=lambda kind: kind.name)


@BOTH
def test_it_reaches_the_reference_every_time(prepared, kind, small_case):
    implementation, problem = prepared(kind, small_case)
    for _ in range(2):
        implementation.run()
        assert compare(implementation.result(), train_reference(problem), small_case).holds


def test_nothing_is_compiled_after_the_first_call(prepared, small_case):
    implementation, _ = prepared(Fastlogit, small_case)
    compilations = implementation.compilations()
    assert compilations > 0
    implementation.run()
    assert implementation.compilations() == compilations


@BOTH
def test_it_does_every_row_of_the_tables(kind, small_case):
    problem = build(small_case)
    for axis in ("model", "solver", "activation"):
        kind().prepare(replace(problem, case=replace(small_case, **{axis: "another"})))


@BOTH
def test_a_curve_has_the_checks_of_train_on_its_clock(prepared, kind, small_case, monkeypatch):
    implementation, _ = prepared(kind, small_case)
    called = []

    def watched(check):
        def checked(*args):
            called.append((check, [id(arg) for arg in args if isinstance(arg, np.ndarray)]))
            return originals[check](*args)

        return checked

    # All that read whole arrays: what else train checks are single numbers.
    names = ("matrix", "params_like", "labels", "row_weights", "row_order")
    originals = {name: getattr(checks, name) for name in names}
    for name in names:
        monkeypatch.setattr(checks, name, watched(name))
    implementation.run()
    by_train = sorted(called)
    called.clear()
    implementation.rewind()
    assert sorted(called) == by_train
    assert len(called) == len(names)
