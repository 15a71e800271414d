"""The package's front: its names, what importing it costs, and the examples in its docstrings."""

import doctest
import importlib
import re
import subprocess
import sys
from importlib import metadata, resources

import pytest

import fastlogit

CORE = [
    "fastlogit",
    "fastlogit.functional",
    "fastlogit.models",
    "fastlogit.training.objective",
    "fastlogit.training.orders",
    "fastlogit.training.trainer",
    "fastlogit.models.checks",
]


def test_public_names_are_there():
    assert sorted(fastlogit.__all__) == fastlogit.__all__
    for name in fastlogit.__all__:
        assert getattr(fastlogit, name).__name__ == name


def test_dir_lists_names_that_are_not_yet_imported():
    program = "import fastlogit; print(*set(fastlogit.__all__) - set(dir(fastlogit)))"
    assert run_python(program) == "\n"
    assert set(fastlogit.__all__) <= set(dir(fastlogit))


def test_unknown_names():
    with pytest.raises(AttributeError, match="module 'fastlogit' has no attribute 'trian'"):
        fastlogit.trian  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'trian'"):
        from fastlogit import trian  # noqa: F401


def test_the_version_is_the_distributions():
    assert fastlogit.__version__ == metadata.version("fastlogit")


def test_the_package_is_typed():
    assert resources.files("fastlogit").joinpath("py.typed").is_file()


def run_python(program):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_importing_it_imports_nothing_heavy():
    heavy = ("numba", "llvmlite", "numpy", "scipy", "sklearn", "pandas", "threadpoolctl", "dask")
    program = f"import sys, fastlogit; print([name for name in {heavy} if name in sys.modules])"
    assert run_python(program) == "[]\n"


def test_dask_is_an_attribute_and_imported_when_it_is_used():
    program = (
        "import sys, fastlogit; fastlogit.dask; before = 'dask' in sys.modules; "
        "print(fastlogit.dask.LogisticRegression.__name__, before)"
    )
    assert run_python(program) == "LogisticRegression False\n"


def test_training_imports_no_scikit_learn():
    program = "import sys; from fastlogit import train; print('sklearn' in sys.modules)"
    assert run_python(program) == "False\n"


@pytest.mark.parametrize(
    ("before", "state"),
    [("", "True False"), ("gc.disable()", "False False"), ("gc.freeze()", "True True")],
)
def test_an_import_leaves_the_garbage_collector_as_it_was(before, state):
    program = f"""
import gc, fastlogit
{before}
frozen = gc.get_freeze_count()
fastlogit.train
print(gc.isenabled(), 0 < gc.get_freeze_count() <= frozen)
"""
    assert run_python(program) == f"{state}\n"


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in CORE:
        for example in finder.find(importlib.import_module(name)):
            if example.examples:
                yield pytest.param(example, id=example.name)


@pytest.mark.parametrize("example", list(examples()))
def test_docstring_examples(example):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("name", [name for name in fastlogit.__all__ if name.islower()])
def test_public_functions_are_documented(name):
    function = getattr(fastlogit, name)
    assert f"fastlogit.{name}(" in function.__doc__.partition("Examples")[2]
    parameters = function.__code__.co_varnames[
        : function.__code__.co_argcount + function.__code__.co_kwonlyargcount
    ]
    for parameter in parameters:
        assert re.search(rf"^ *(\w+, )*{parameter}(, \w+)* : ", function.__doc__, re.M), parameter
