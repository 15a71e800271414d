import importlib.metadata
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastlogit.benchmark import contenders
from fastlogit.benchmark.contenders import BASELINE, CONTENDERS, ClosedContender, Contender
from fastlogit.benchmark.contenders.base import UnsupportedError
from fastlogit.benchmark.problem import Outcome, build
from fastlogit.benchmark.verify import compare, reference_outcome
from fastlogit.models import checks as validation


def test_the_table_goes_by_name():
    assert BASELINE in CONTENDERS
    for name, kind in CONTENDERS.items():
        assert kind.name == name
        assert kind.division in ("closed", "open")


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_own_contenders_are_always_present(name):
    kind = CONTENDERS[name]
    assert kind.missing() is None
    assert kind.version() == importlib.metadata.version(name)


@pytest.mark.parametrize("axis", ["model", "solver", "activation"])
def test_a_contender_refuses_what_it_does_not_cover(small_case, axis):
    problem = build(small_case)
    other = replace(problem, case=replace(small_case, **{axis: "another"}))
    with pytest.raises(UnsupportedError, match=f"has no {axis} another"):
        CONTENDERS["scikit-learn"]().prepare(other)
    CONTENDERS["numpy"]().prepare(other)  # every row of the core's tables


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_an_own_contender_reaches_the_reference_every_time(name, small_case):
    problem = build(small_case)
    contender = CONTENDERS[name]()
    contender.prepare(problem)
    contender.first_run()
    for _ in range(2):
        contender.run()
        assert compare(contender.result(), reference_outcome(problem), "float32").holds


def test_numba_compiles_nothing_after_its_first_run(small_case):
    contender = CONTENDERS["numba"]()
    contender.prepare(build(small_case))
    contender.first_run()
    compilations = contender.compilations()
    assert compilations > 0
    contender.run()
    assert contender.compilations() == compilations


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize(
    "name", [name for name, kind in CONTENDERS.items() if issubclass(kind, ClosedContender)]
)
def test_stopping_on_the_way_changes_nothing(name, solver, small_case):
    if CONTENDERS[name].missing():
        pytest.skip(str(CONTENDERS[name].missing()))
    problem = build(replace(small_case, epochs=9, solver=solver, dtype="float64"))
    contender = CONTENDERS[name]()
    contender.prepare(problem)
    contender.first_run()
    contender.run()
    whole = contender.result()
    reference = reference_outcome(problem)
    compilations = contender.compilations()
    for _ in range(2):
        contender.rewind()
        contender.advance(1)
        first = contender.result()
        assert first.loss == pytest.approx(reference.loss_curve[0], rel=1e-9)
        contender.advance(5)
        contender.advance(3)
        assert contender.compilations() == compilations
        assert contender.result().loss == pytest.approx(whole.loss, rel=1e-14)
        for stopped, unstopped in zip(contender.result().params, whole.params, strict=True):
            np.testing.assert_allclose(stopped, unstopped, rtol=1e-12, atol=1e-14)
        assert np.abs(first.params[0] - whole.params[0]).max() > 1e-4


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_curve_has_the_checks_of_train_on_its_clock(name, small_case, monkeypatch):
    contender = CONTENDERS[name]()
    contender.prepare(build(small_case))
    looks = []

    def watched(look):
        def looked(*args):
            looks.append((look, [id(arg) for arg in args if isinstance(arg, np.ndarray)]))
            return checks[look](*args)

        return looked

    # All that look at whole arrays: what else train checks are single numbers.
    checks = {
        look: getattr(validation, look)
        for look in ("matrix", "params_like", "labels", "row_weights", "row_order")
    }
    for look in checks:
        monkeypatch.setattr(validation, look, watched(look))
    contender.run()
    by_train = sorted(looks)
    looks.clear()
    contender.rewind()
    assert sorted(looks) == by_train
    assert len(looks) == len(checks)


def test_the_default_first_run_is_a_run():
    class Smallest(Contender):
        name = "smallest"
        runs = 0

        def run(self):
            self.runs += 1

        def result(self):
            return Outcome((np.zeros(1),), (0.0,))

    contender = Smallest()
    contender.first_run()
    assert contender.runs == 1
    assert contender.compilations() == 0
    assert contender.form() == ""
    assert not Smallest.by_default


def test_nobody_takes_part_unasked_that_may_be_missing():
    unasked = [name for name, kind in CONTENDERS.items() if kind.by_default]
    assert unasked == ["numpy", "numba", "scikit-learn", "fastlogit-lbfgs", "sklearn-lbfgs"]
    needed = {"numpy", "numba", "scikit-learn"}  # of the package itself
    assert {CONTENDERS[name].distribution for name in unasked} == needed


def test_the_table_is_there_without_any_peer():
    program = (
        "import sys; sys.modules.update(jax=None, torch=None);"
        "from fastlogit.benchmark.contenders import CONTENDERS;"
        "print('sklearn' in sys.modules, *CONTENDERS)"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded, *names = done.stdout.split()
    assert loaded == "False"
    assert names[:5] == ["numpy", "numba", "jax", "torch", "scikit-learn"]
    assert names == list(CONTENDERS)


def test_all_in_the_folder_take_part():
    text = {path.stem: path.read_text() for path in Path(contenders.__file__).parent.glob("*.py")}
    named = re.findall(r'^    name: ClassVar\[str\] = "(.+)"$', "\n".join(text.values()), re.M)
    assert sorted(named) == sorted(CONTENDERS)
    assert not any(name in text["__init__"] for name in CONTENDERS if name != BASELINE)


NEWCOMER = """
from fastlogit.benchmark.contenders.own import NumpyContender

class Newcomer(NumpyContender):
    name, place = {!r}, {}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of modules, by their name, and what is discovered in it."""
    monkeypatch.syspath_prepend(tmp_path)

    def discover(**modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        return contenders.discovered([str(tmp_path)], "")

    return discover


def test_one_more_file_is_one_more_contender(folder):
    found = folder(
        newcomer_one=NEWCOMER.format("second", 7),
        newcomer_two=NEWCOMER.format("first", 5),
        newcomer_none="from fastlogit.benchmark.contenders import Contender",
    )
    assert list(found) == ["first", "second"]
    assert found["first"].__module__ == "newcomer_two"


def test_two_contenders_cannot_share_a_name(folder):
    with pytest.raises(ValueError, match="two contenders have one name among"):
        folder(newcomer_one=NEWCOMER.format("same", 1), newcomer_two=NEWCOMER.format("same", 2))


def test_an_absent_contender_says_why_and_what_to_do(fakes):
    assert str(fakes["absent"].missing()) == (
        "the module a_module_that_nobody_has is not installed; install it with: pip install luck"
    )
