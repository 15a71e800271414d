"""fastlogit's classes under scikit-learn's names, by a call or by ``python -m fastlogit``."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.ensemble._stacking
import sklearn.linear_model
import sklearn.neural_network
from sklearn.linear_model import LogisticRegression as TheirRegression

import fastlogit
from fastlogit.patching import HOMES
from fastlogit.support import CLASSES, original

THIS = sys.modules[__name__]
X, Y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2


@pytest.fixture
def patched():
    fastlogit.patch_sklearn()
    yield
    fastlogit.unpatch_sklearn()


def bindings():
    """Return what scikit-learn's loaded modules and this one bind to a class of either side."""
    classes = {*CLASSES.values(), *map(original, CLASSES.values())}
    return {
        (name, key): value
        for name, module in list(sys.modules.items())
        if name == __name__ or name.partition(".")[0] == "sklearn"
        for key, value in list(vars(module).items())
        if isinstance(value, type) and value in classes
    }


def test_every_estimator_has_a_home():
    homes = [sys.modules[home] for home in HOMES]
    for name, ours in CLASSES.items():
        assert name in fastlogit.__all__
        assert original(ours) in [getattr(home, name, None) for home in homes]


def test_replaces_every_name_and_restores_it():
    before = bindings()
    assert (__name__, "TheirRegression") in before
    fastlogit.patch_sklearn()
    fastlogit.patch_sklearn()
    changed = {key for key, value in bindings().items() if value is not before[key]}
    fastlogit.unpatch_sklearn()
    assert bindings() == before
    names = {(home, name) for home in HOMES for name in CLASSES if hasattr(sys.modules[home], name)}
    assert changed >= {*names, (__name__, "TheirRegression")}
    assert ("sklearn.ensemble._stacking", "LogisticRegression") in changed
    # Where pickle looks scikit-learn's classes up, they stay.
    assert ("sklearn.linear_model._logistic", "LogisticRegression") not in changed
    fastlogit.unpatch_sklearn()
    assert bindings() == before


def test_unpatching_leaves_imports_of_fastlogit_alone(patched, monkeypatch):
    monkeypatch.setattr(THIS, "chosen", fastlogit.LogisticRegression, raising=False)
    monkeypatch.setattr(sklearn.ensemble._stacking, "late", fastlogit.MLPClassifier, raising=False)
    monkeypatch.setattr(THIS, "TheirRegression", "bound to something else since")
    fastlogit.unpatch_sklearn()
    assert THIS.chosen is fastlogit.LogisticRegression
    assert sklearn.ensemble._stacking.late is original(fastlogit.MLPClassifier)
    assert THIS.TheirRegression == "bound to something else since"


def test_uses_inside_scikit_learn_are_fastlogits(patched):
    stacking = sklearn.ensemble._stacking.StackingClassifier([("a", TheirRegression())])
    fitted = stacking.fit(X, Y)
    assert fitted.final_estimator_.backend_ == fitted.estimators_[0].backend_ == "numba"


def test_both_names_are_one_class(patched):
    class Derived(fastlogit.LogisticRegression):
        pass

    defined = original(fastlogit.LogisticRegression)
    ours, theirs = fastlogit.LogisticRegression(), defined()
    for name in (TheirRegression, fastlogit.LogisticRegression):
        assert isinstance(ours, name)
        assert isinstance(theirs, name)
        assert issubclass(defined, name)
        assert not isinstance(fastlogit.MLPClassifier(), name)
    for name in (Derived, fastlogit.MLPClassifier, fastlogit.estimators.base.KernelClassifier):
        assert not isinstance(theirs, name)
    fastlogit.unpatch_sklearn()
    assert not isinstance(theirs, fastlogit.LogisticRegression)
    assert isinstance(ours, defined)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of LogisticRegressionCV's defaults
@pytest.mark.parametrize("name", CLASSES)
def test_pickles_cross_the_patch(name):
    ours, theirs = CLASSES[name], original(CLASSES[name])
    before = theirs(max_iter=20).fit(X, Y)
    stored = pickle.dumps(before)
    fastlogit.patch_sklearn()
    try:
        loaded = pickle.loads(stored)  # noqa: S301
        assert pickle.dumps(before) == stored
        stored_ours = pickle.dumps(ours(max_iter=20).fit(X, Y))
    finally:
        fastlogit.unpatch_sklearn()
    assert type(loaded) is theirs
    np.testing.assert_array_equal(loaded.predict_proba(X), before.predict_proba(X))
    loaded = pickle.loads(stored_ours)  # noqa: S301
    assert type(loaded) is ours
    assert loaded.predict_proba(X).shape == (40, 2)


# In a process of its own


def run(*arguments, folder=None, environment=()):
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | dict(environment),
    )  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        "fastlogit.patch_sklearn(); from sklearn.linear_model import LogisticRegression as L",
        "from sklearn.linear_model import LogisticRegression as L; fastlogit.patch_sklearn()",
        "import sklearn; fastlogit.patch_sklearn(); import sklearn.neural_network; "
        "from sklearn.linear_model import LogisticRegression as L",
        "fastlogit.patch_sklearn(); fastlogit.MLPClassifier; "
        "from sklearn.linear_model import LogisticRegression as L",
        "fastlogit.patch_sklearn(); from importlib.util import find_spec as f; "
        "f('sklearn.linear_model'); from sklearn.linear_model import LogisticRegression as L",
        "fastlogit.patch_sklearn(); import sklearn.ensemble; "
        "from sklearn.ensemble._stacking import LogisticRegression as L",
    ],
)
def test_works_before_and_after_the_import(lines):
    done = run("-c", f"import fastlogit; {lines}; print(L is fastlogit.LogisticRegression)")
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_waits_for_scikit_learn_and_can_be_called_off():
    program = """
import sys, fastlogit
fastlogit.patch_sklearn()
fastlogit.patch_sklearn()
print(len(sys.meta_path), "numpy" in sys.modules)
fastlogit.unpatch_sklearn()
from sklearn.linear_model import LogisticRegression
print(LogisticRegression is fastlogit.LogisticRegression)
"""
    plain = run("-c", "import sys; print(len(sys.meta_path))").stdout
    assert run("-c", program).stdout == f"{int(plain) + 1} False\nFalse\n"


def test_waits_on_where_an_import_fails():
    program = """
import sys, fastlogit
fastlogit.patch_sklearn()
sys.modules["sklearn.linear_model._base"] = None
try:
    import sklearn.linear_model
except ImportError:
    del sys.modules["sklearn.linear_model._base"]
    from sklearn.linear_model import LogisticRegression
    print(LogisticRegression is fastlogit.LogisticRegression)
"""
    assert run("-c", program).stdout == "True\n"


def test_an_exporter_that_knows_only_the_patched_names():
    pytest.importorskip("skl2onnx")
    program = """
import numpy as np
import fastlogit
fastlogit.patch_sklearn()
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1]
for estimator in (LogisticRegression(), MLPClassifier((2,), solver="lbfgs", max_iter=50)):
    print(len(fastlogit.to_onnx(estimator.fit(X, y), X[:1]).graph.output))
"""
    assert run("-W", "ignore", "-c", program).stdout == "2\n2\n"


@pytest.mark.slow
def test_any_part_of_scikit_learn_may_be_imported_first():
    parts = [path.parent.name for path in Path(sklearn.__file__).parent.glob("[a-z]*/__init__.py")]
    assert {"ensemble", "linear_model", "feature_selection"} <= set(parts)
    for part in parts:
        program = f"""
import fastlogit
fastlogit.patch_sklearn()
import sklearn.{part}
from sklearn.linear_model import LogisticRegression
assert LogisticRegression is fastlogit.LogisticRegression
"""
        done = run("-c", program)
        assert (part, done.returncode, done.stderr) == (part, 0, "")


# python -m fastlogit

PROGRAM = """\
import sys
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

def reach(limit):
    if limit == "fail":
        raise ValueError("as asked")
    sys.exit(int(limit))

if __name__ == "__main__":
    print(__file__, sys.argv, sys.path[0], sys.modules["__main__"].reach is reach, __package__)
    fitted = LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))
    print(fitted, fitted.score(*load_iris(return_X_y=True)).round(6))
    reach(sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path):
    for place in ("program.py", "part/program.py", "part/__main__.py"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(PROGRAM)
    (tmp_path / "broken.py").write_text("x = (\n")
    (tmp_path / "own.py").write_text("import sys\nprint('sklearn' in sys.modules)\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "part/program.py 3",
        "./program.py fail",
        "-m part.program 0",
        "-m part fail",
        "part 4",
        "own.py",
        "broken.py",
        "missing.py",
        "-m missing",
    ],
)
def test_a_program_runs_as_by_python_itself(folder, words):
    plain = run(*words.split(), folder=folder)
    ours = run("-m", "fastlogit", *words.split(), folder=folder)
    assert ours.stdout == plain.stdout
    assert ours.stderr == plain.stderr
    assert ours.returncode == plain.returncode


def test_a_program_runs_on_fastlogit(folder):
    shown = {"FASTLOGIT_VERBOSE": "1"}
    done = run("-m", "fastlogit", "program.py", "0", folder=folder, environment=shown)
    assert "fastlogit: LogisticRegression ran on kernels (" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("fastlogit: program.py 0 took ")


def test_tells_how_it_is_used():
    asked, wrong, missing = (run("-m", "fastlogit", *words) for words in (["-h"], ["-x"], []))
    assert (asked.returncode, wrong.returncode, missing.returncode) == (0, 2, 2)
    assert asked.stdout == wrong.stderr == missing.stderr
    assert asked.stdout.startswith("usage: python -m fastlogit script.py")
