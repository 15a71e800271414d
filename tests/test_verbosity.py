"""Lines on stderr: of a first compilation and of fits, as the variable and filters say."""

import os
import subprocess
import sys
import warnings

import pytest

from fastlogit import verbosity
from fastlogit.verbosity import VARIABLE, announce, report, report_fit, report_total

# The smallest thing to compile, as a first fit compiles it.
COMPILE = """
import numpy as np
from fastlogit.kernels.codegen.linking import address_of
from fastlogit.kernels.layers import activations
for dtype in ("f4", "f8"):
    address_of(activations.logistic, (np.dtype(dtype), 2))
"""


def compiled(folder, *options, verbose=None):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    environment.pop(VARIABLE, None)
    environment |= {} if verbose is None else {VARIABLE: verbose}
    done = subprocess.run(  # noqa: S603
        [sys.executable, *options, "-c", COMPILE], capture_output=True, text=True, check=True,
        env=environment,
    )  # fmt: skip
    return done.stderr


def test_a_first_compilation_prints_one_line(tmp_path):
    assert compiled(tmp_path, "-W", "error::UserWarning") == (
        "fastlogit: compiling kernels for this CPU, once (about 7 s) ...\n"
    )
    assert compiled(tmp_path) == ""  # from the cache
    assert compiled(tmp_path / "other", verbose="0") == ""
    (tmp_path / "a file").touch()
    assert "anew in each process" in compiled(tmp_path / "a file")


@pytest.mark.parametrize(
    ("verbose", "action", "shown"),
    [
        (None, "default", True),
        ("", "default", True),
        ("1", "default", True),
        ("0", "default", False),
        (None, "error", True),
        (None, "ignore", False),
        ("1", "ignore", False),
    ],
)
def test_the_line_follows_the_variable_and_the_filters(monkeypatch, capsys, verbose, action, shown):
    monkeypatch.delenv(VARIABLE, raising=False)
    if verbose is not None:
        monkeypatch.setenv(VARIABLE, verbose)
    with warnings.catch_warnings():
        warnings.filterwarnings(action, "fastlogit: compiling")
        announce("compiling")
    assert capsys.readouterr().err == ("fastlogit: compiling\n" if shown else "")


@pytest.mark.parametrize(
    ("verbose", "shown"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)]
)
def test_a_fit_is_reported_if_the_variable_asks_for_it(monkeypatch, capsys, verbose, shown):
    monkeypatch.delenv(VARIABLE, raising=False)
    if verbose is not None:
        monkeypatch.setenv(VARIABLE, verbose)
    report("a {}".format, "fit")
    assert capsys.readouterr().err == ("fastlogit: a fit\n" if shown else "")


def test_nothing_is_printed_without_a_console(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setattr(sys, "stderr", None)
    report("a {}".format, "fit")


def test_the_total_counts_fits_by_the_code_that_ran(monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setattr(verbosity, "_totals", {})
    report_total("a.py", 0.5)
    for code, seconds in (("kernels", 0.25), ("scikit-learn: a reason", 1.0), ("kernels", 0.5)):
        report_fit("MLPClassifier", code, seconds)
    report_total("a.py", 2.0)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "fastlogit: a.py took 0.5 s: no fits"
    fits = "2 fits on kernels (0.75 s); 1 fit on scikit-learn: a reason (1 s)"
    assert last == f"fastlogit: a.py took 2 s: {fits}"
