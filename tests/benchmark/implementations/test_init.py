"""What the table of implementations holds, and who takes part."""

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastlogit.benchmark import implementations
from fastlogit.benchmark.implementations import (
    IMPLEMENTATIONS,
    AnyAlgorithm,
    SameSteps,
    UnsupportedError,
    choose,
)
from fastlogit.benchmark.implementations.any_algorithm import SklearnSgd
from fastlogit.benchmark.problem import Outcome, build
from fastlogit.benchmark.schema import BASELINES
from fastlogit.benchmark.verification import compare, train_reference
from fastlogit.kernels.codegen import cache
from fastlogit.models import ACTIVATIONS


def names(kinds):
    return [f"{kind.comparison}/{kind.name}" for kind in kinds]


def test_every_question_has_its_baseline_and_the_product():
    listed = names(IMPLEMENTATIONS)
    for comparison, baseline in BASELINES.items():
        if baseline:
            assert {f"{comparison}/{baseline}", f"{comparison}/fastlogit"} <= set(listed)
    assert len(set(listed)) == len(listed)


def test_those_that_may_be_missing_take_part_only_when_asked():
    assert names(choose(None)) == [
        *("same-estimator/scikit-learn", "same-estimator/fastlogit"),
        *("same-steps/numpy", "same-steps/fastlogit"),
        *("any-algorithm/fastlogit-lbfgs", "any-algorithm/sklearn-lbfgs"),
    ]
    needed = {"numpy", "fastlogit", "scikit-learn"}  # of the package itself
    assert {kind.distribution for kind in choose(None)} == needed


def test_the_baseline_takes_part_in_any_case():
    assert names(choose(["fastlogit"], ["same-steps"])) == [
        "same-steps/numpy", "same-steps/fastlogit",
    ]  # fmt: skip
    assert names(choose(["sklearn-saga"])) == [
        "same-estimator/scikit-learn", "same-steps/numpy", "any-algorithm/sklearn-saga",
    ]  # fmt: skip


def test_all_are_those_that_are_installed(monkeypatch, kinds):
    absent = kinds("absent")[0]
    monkeypatch.setattr(implementations, "IMPLEMENTATIONS", (*IMPLEMENTATIONS, absent))
    assert absent not in choose(["all"])
    assert {kind.name for kind in choose(["all"])} > {"sklearn-saga", "fastlogit"}
    with pytest.raises(
        ValueError,
        match="implementation 'absent' cannot run here: the module a_module_that_nobody_has is "
        "not installed; install it with: pip install luck",
    ):
        choose(["absent"])


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'fastlogit-lbfgs'"):
        choose(["fastlogit-lbfg"])


@pytest.mark.parametrize("axis", ["model", "solver", "activation"])
def test_an_implementation_refuses_what_it_does_not_cover(small_case, axis):
    problem = build(small_case)
    other = replace(problem, case=replace(small_case, **{axis: "another"}))
    with pytest.raises(UnsupportedError, match=f"sklearn-sgd has no {axis} another"):
        SklearnSgd().prepare(other)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "kind",
    [kind for kind in IMPLEMENTATIONS if issubclass(kind, SameSteps) and not kind.missing()],
    ids=lambda kind: kind.name,
)
def test_the_same_steps_have_every_activation(prepared, kind, activation, small_case):
    case = replace(small_case, model="mlp-softmax", n_hidden=8, activation=activation)
    implementation, problem = prepared(kind, case)
    implementation.run()
    assert compare(implementation.result(), train_reference(problem), case).holds


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize(
    "kind",
    [kind for kind in IMPLEMENTATIONS if issubclass(kind, SameSteps) and not kind.missing()],
    ids=lambda kind: kind.name,
)
def test_stopping_on_the_way_changes_nothing(prepared, kind, solver, small_case):
    case = replace(small_case, epochs=9, solver=solver, dtype="float64")
    implementation, problem = prepared(kind, case)
    implementation.run()
    whole, reference = implementation.result(), train_reference(problem)
    compilations = implementation.compilations()
    for _ in range(2):
        implementation.rewind()
        implementation.advance(1)
        first = implementation.result()
        assert first.loss == pytest.approx(reference.loss_curve[0], rel=1e-9)
        implementation.advance(5)
        implementation.advance(3)
        assert implementation.compilations() == compilations
        assert implementation.result().loss == pytest.approx(whole.loss, rel=1e-14)
        for stopped, unstopped in zip(implementation.result().params, whole.params, strict=True):
            np.testing.assert_allclose(stopped, unstopped, rtol=1e-12, atol=1e-14)
        assert np.abs(first.params[0] - whole.params[0]).max() > 1e-4


def test_the_default_first_call_is_a_run(small_case):
    class Smallest(AnyAlgorithm):
        name, distribution = "smallest", "numpy"
        fits = ()

        def fit(self, iterations):
            self.fits = (*self.fits, iterations)

        def result(self):
            return Outcome((np.zeros(1),), (0.0,))

    implementation = Smallest()
    implementation.prepare(build(small_case))
    implementation.first_call()
    assert implementation.fits == (small_case.epochs,)
    assert implementation.variant() == ""
    assert implementation.compilations() == cache.compilations()
    assert not Smallest.by_default
    assert Smallest.version() == importlib.metadata.version("numpy")


def test_the_table_is_there_without_any_peer():
    program = (
        "import sys; sys.modules.update(jax=None, torch=None);"
        "from fastlogit.benchmark.implementations import IMPLEMENTATIONS;"
        "print('sklearn' in sys.modules, *(each.name for each in IMPLEMENTATIONS))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded, *listed = done.stdout.split()
    assert loaded == "False"
    assert listed == [each.name for each in IMPLEMENTATIONS]


def test_all_in_the_folder_take_part():
    text = {
        path.stem: path.read_text() for path in Path(implementations.__file__).parent.glob("*.py")
    }
    named = re.findall(r'^    name = "(.+)"$', "\n".join(text.values()), re.M)
    assert sorted(named) == sorted(each.name for each in IMPLEMENTATIONS)
    assert not any(f'"{name}"' in text["__init__"] for name in named)


NEWCOMER = """
from fastlogit.benchmark.implementations.both_backends import Numpy

class Newcomer(Numpy):
    name, rank = {!r}, {}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of modules, by their name, and what is discovered in it."""
    monkeypatch.syspath_prepend(tmp_path)

    def discover(**modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        return implementations.discover([str(tmp_path)], "")

    return discover


def test_one_more_file_is_one_more_implementation(folder):
    found = folder(
        newcomer_one=NEWCOMER.format("second", 7),
        newcomer_two=NEWCOMER.format("first", 5),
        newcomer_none="from fastlogit.benchmark.implementations import Implementation",
    )
    assert [each.name for each in found] == ["first", "second"]
    assert found[0].__module__ == "newcomer_two"


def test_two_implementations_cannot_share_a_name(folder):
    with pytest.raises(ValueError, match="two implementations have one name among"):
        folder(newcomer_one=NEWCOMER.format("same", 1), newcomer_two=NEWCOMER.format("same", 2))
