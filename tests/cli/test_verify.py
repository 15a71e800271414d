"""``fastlogit bench verify``: what it prints where, and every exit code."""

import json
import math

import pytest
from fakes import FAKES

from fastlogit.benchmark.verify import TOLERANCES

CELL = "softmax/iris/sgd/b32/float32/t1/e1/s0"
OWN = ("-i", "numpy", "-i", "numba")
SMALL = ("bench", "verify", "-m", "softmax", "-d", "iris", "--epochs", "1")


def asked(*impls):
    return [word for impl in impls for word in ("-i", impl)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agreement_ends_with_0_and_no_files(call, tmp_path, dtype):
    code, out, err = call(*SMALL, *OWN, "--dtype", dtype, "--json")
    assert code == 0
    assert err == "fastlogit bench verify: loading\n"
    numpy, numba = json.loads(out)
    assert (numpy["impl"], numba["impl"]) == ("numpy", "numba")
    assert numpy["params_error"] == numpy["loss_error"] == 0
    assert 0 <= numba["params_error"] <= TOLERANCES[dtype] == numba["tolerance"]
    for row in (numpy, numba):
        assert (row["status"], row["verified"], row["error"]) == ("ok", True, None)
        assert row["cell_id"] == CELL.replace("float32", dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_line_a_contender_and_a_total(call):
    code, out, _ = call(*SMALL, *OWN, "-d", "wine")
    assert code == 0
    *lines, total = out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [CELL.replace("iris", name), impl]
        for name in ("iris", "wine")
        for impl in ("numpy", "numba")
    ]
    assert all("ok: parameters differ by" in line for line in lines)
    assert total == "4 agree with the reference"


@pytest.mark.parametrize(
    ("impls", "expected", "words"),
    [
        (("wrong", "numba"), 3, "failed-verification: parameters differ by 1.00e-03"),
        (("raises", "numba"), 4, "failed: RuntimeError: no memory"),
        (("hangs", "numba"), 124, "failed: timeout after 600 s"),
        (("unable", "numba"), 0, "unsupported: no such model here"),
        (("raises", "hangs", "wrong", "numba"), 3, "failed-verification"),
        (("raises", "hangs", "numba"), 124, "RuntimeError"),
    ],
)
@pytest.mark.slow
def test_every_exit_code_of_what_went_wrong(call, contender, impls, expected, words):
    for impl in impls[:-1]:
        contender(impl)
    code, out, _ = call(*SMALL, *asked(*impls))
    assert code == expected
    assert words in out
    assert out.splitlines()[-1].startswith("1 agree with the reference, ")


def test_the_open_division_is_not_compared(call):
    code, out, _ = call(*SMALL, "-m", "mlp-softmax", "-i", "scikit-learn", "--json")
    assert code == 0
    for row in json.loads(out):
        assert (row["division"], row["status"]) == ("open", "ok")
        assert [row[name] for name in ("params_error", "loss_error", "verified")] == [None] * 3
    code, out, _ = call(*SMALL, "-i", "scikit-learn", "-i", "numba")
    assert "open: another algorithm, not compared" in out
    assert out.splitlines()[-1] == "1 agree with the reference, 1 open"


def test_a_result_that_is_no_number_is_null(call, contender, monkeypatch):
    contender("wrong")
    monkeypatch.setattr(FAKES["wrong"], "offset", math.nan, raising=False)
    code, out, _ = call(*SMALL, "-i", "wrong", "--json")
    assert code == 3
    (row,) = json.loads(out)
    assert row["params_error"] is None
    assert row["verified"] is False


def test_ctrl_c_ends_with_130_and_shows_what_there_is(call, contender, monkeypatch):
    contender("interrupted")
    monkeypatch.setattr(FAKES["interrupted"], "runs_left", 2)
    for arguments in ((), ("--json",)):
        monkeypatch.setattr(FAKES["interrupted"], "runs_left", 2)
        code, out, err = call(*SMALL, "-d", "wine", "-i", "interrupted", *arguments)
        assert code == 130
        assert out.count(CELL) == 1
        assert err.splitlines()[-1] == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "softmx"), "no model 'softmx' (did you mean 'softmax'?)"),
        (("-i", "numbo"), "no implementation 'numbo' (did you mean 'numba'?)"),
        (("--timeout", "-1"), "the timeout is -1 s; it must be positive"),
        (("--threads", "100000"), "100000 threads are asked for"),
        (("--repeats", "3"), "--repeats"),
    ],
)
def test_a_wrong_command_ends_with_2(call, arguments, message):
    code, out, err = call("bench", "verify", *arguments)
    assert code == 2
    assert message in err
    assert out == ""


def test_a_file_of_the_user_s_is_verified(call, tmp_path):
    rows = "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "my.csv").write_text("width,kind\n" + rows)
    arguments = ("--data", "my.csv", "--target", "kind", "-m", "logistic", "--batch-size", "8")
    code, out, err = call("bench", "verify", *arguments, *OWN, "--epochs", "2")
    assert code == 0
    assert "my.csv: 40 rows" in err
    assert out.splitlines()[-1] == "2 agree with the reference"
