"""What a type checker knows of the functions: the names there are, and the parameters they give."""

import subprocess
import sys
from typing import get_args

import pytest

from fastlogit import names
from fastlogit.models import ACTIVATIONS, BACKENDS, MODELS, OPTIMIZERS

TABLES = {
    "ModelName": MODELS, "SolverName": OPTIMIZERS, "BackendName": BACKENDS,
}  # fmt: skip


def literals(kind):
    """Return the strings of a Literal, or of a union of some."""
    return [name for part in get_args(kind) for name in (get_args(part) or (part,))]


@pytest.mark.parametrize("kind", TABLES)
def test_the_types_are_the_tables_names(kind):
    assert literals(getattr(names, kind)) == list(TABLES[kind])


def test_the_networks_are_those_with_a_hidden_layer():
    hidden = [name for name, model in MODELS.items() if model.has_hidden]
    assert literals(names.NetworkName) == hidden
    assert set(literals(names.LayerName)) == set(MODELS) - set(hidden)


def test_every_activation_has_a_type():
    assert set(ACTIVATIONS) == set(literals(names.ActivationName))


# Each line with what mypy says of it, if it is wrong.
PROGRAM = [
    ("import fastlogit", ""),
    ("X, y = [[0.0]], [0]", ""),
    ("linear = fastlogit.train('softmax', X, y)", ""),
    ("W, b = linear.params", ""),
    ("linear.params.W1", '"LayerParams" has no attribute "W1"'),
    ("network = fastlogit.train('mlp-softmax', X, y, hidden=2, activation='relu')", ""),
    ("network.params.W1.sum()", ""),
    ("network.params.W", '"NetworkParams" has no attribute "W"'),
    ("loss, gradient = fastlogit.loss_and_gradient('logistic', linear.params, X, y)", ""),
    ("gradient.W.sum()", ""),
    ("fastlogit.train('softmx', X, y)", 'No overload variant of "train"'),
    ("fastlogit.train('softmax', X, y, solver='lbfgs')", 'No overload variant of "train"'),
    ("fastlogit.train('softmax', X, y, backend='numb')", 'No overload variant of "train"'),
    ("fastlogit.train('mlp-softmax', X, y, activation='sin')", 'No overload variant of "train"'),
    ("fastlogit.loss_and_gradient('softmx', (), X, y)", "No overload variant of"),
    ("fastlogit.predict_proba('softmx', (), X)", 'Argument 1 to "predict_proba"'),
]


@pytest.mark.slow
def test_mypy_finds_what_is_wrong(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "program.py").write_text("\n".join(line for line, _ in PROGRAM) + "\n")
    done = subprocess.run(  # noqa: S603
        [
            sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports",
            "--follow-imports=silent", "--config-file=", "--hide-error-context",
            f"--cache-dir={tmp_path}", "program.py",
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    wrong = [(n, text) for n, (_, text) in enumerate(PROGRAM, 1) if text]
    assert len(errors) == len(wrong), done.stdout + done.stderr
    for error, (line, text) in zip(errors, wrong, strict=True):
        assert error.startswith(f"program.py:{line}: error: ")
        assert text in error
