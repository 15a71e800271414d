"""``fastlogit bench verify``: what it prints where, and every exit code."""

import json

import pytest

from fastlogit.benchmark import session
from fastlogit.benchmark.verification import VerificationResult

VERIFY = ("bench", "verify", "-m", "softmax", "-d", "iris", "--question", "same-steps")


def result(implementation, status="ok", *errors, case_id="a/case", error=None):
    errors = errors or (None, None, None)
    return VerificationResult(
        case_id, "same-steps", implementation, "1", status, *errors, error=error
    )


@pytest.fixture
def results(monkeypatch):
    """What stands in for the results of verification; an exception is raised."""
    found = []

    def verify(cases, implementations, *, timeout=None):
        for each in found:
            if isinstance(each, BaseException):
                raise each
            yield each

    monkeypatch.setattr(session, "verify", verify)
    return found


def test_a_line_an_implementation_and_a_total(call, results):
    results += [
        result("fastlogit", "ok", 1e-7, 2e-8, 1e-4),
        result("sklearn-sgd"),
        result("numpy", "ok", 0.0, 0.0, 1e-4, case_id="another"),
    ]
    code, out, err = call(*VERIFY)
    assert (code, err) == (0, "fastlogit bench verify: loading\n")
    assert [" ".join(line.split()) for line in out.splitlines()[:2]] == [
        "a/case", "fastlogit agree: relative errors parameters 1e-07, loss 2e-08 (limit 0.0001)",
    ]  # fmt: skip
    assert "  sklearn-sgd               not compared: another algorithm" in out
    assert "another\n  NumPy reference " in out
    assert out.splitlines()[-1] == "2 agree, 1 not compared"


@pytest.mark.parametrize(
    ("troubles", "expected"),
    [
        ([("failed-verification", "parameters differ")], 3),
        ([("failed", "RuntimeError: no memory")], 4),
        ([("failed", "timeout after 600 s")], 124),
        ([("unsupported", "no such model")], 0),
        ([("failed", "x"), ("failed", "timeout after 9 s"), ("failed-verification", "y")], 3),
        ([("failed", "x"), ("failed", "timeout after 9 s")], 124),
    ],
    ids=["wrong", "raises", "timeout", "unsupported", "all", "timeout-and-raises"],
)
def test_every_exit_code_of_what_went_wrong(call, results, troubles, expected):
    results += [result("jax", status, error=error) for status, error in troubles]
    results.append(result("fastlogit", "ok", 0.0, 0.0, 1e-4))
    code, out, _ = call(*VERIFY)
    assert code == expected
    assert all(f"{status}: {error}" in out for status, error in troubles)
    assert "1 agree" in out.splitlines()[-1]


def test_json_is_the_results(call, results):
    results += [
        result("jax", "failed", error="why"),
        result("torch", "failed-verification", float("nan"), 1.0, 1e-4),
    ]
    code, out, _ = call(*VERIFY, "--json")
    assert code == 3
    assert "NaN" not in out
    row, _ = json.loads(out)
    assert (row["implementation"], row["status"], row["error"]) == ("jax", "failed", "why")
    assert row["params_error"] is None


def test_ctrl_c_ends_with_130_and_shows_what_there_is(call, results):
    results += [result("jax", "failed", error="why"), KeyboardInterrupt()]
    code, out, err = call(*VERIFY)
    assert code == 130
    assert "failed: why" in out
    assert err.splitlines()[-1] == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "softmx"), "no model 'softmx' (did you mean 'softmax'?)"),
        (("--timeout", "-1"), "--timeout is -1; it must be positive"),
        (("--repeats", "3"), "--repeats"),
        (("--target-loss", "3"), "--target-loss"),
    ],
)
def test_a_wrong_command_ends_with_2(call, results, arguments, message):
    code, out, err = call("bench", "verify", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_the_kernels_agree(call):
    code, out, _ = call(*VERIFY, "--epochs", "1")
    assert code == 0
    assert out.splitlines()[-1] == "2 agree"
