"""``fastlogit bench compare`` and ``check``: what they print where, and every exit code."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
SETS = ("iris", "breast_cancer")
IMPLS = ("numpy", "numba", "jax")


@pytest.fixture
def runs(tmp_path):
    """Copy the reference run, changed: a factor on a model's numba times, statuses, facts.

    Of two data sets and three contenders alone, unless all is asked for: the bootstrap's time is
    that of the cells.
    """

    def make(name, *, slower=1.0, status=None, whole=False, **facts):
        directory = tmp_path / "results" / name
        shutil.copytree(REFERENCE, directory)
        timings = pd.read_csv(directory / "timings.csv")
        if not whole:
            timings = timings[timings["dataset"].isin(SETS) & timings["impl"].isin(IMPLS)]
        slow = (timings["model"] == "softmax") & (timings["impl"] == "numba")
        timings.loc[slow, "time_s"] *= slower
        if status is not None:
            timings.loc[timings.index[slow][:10], "status"] = status
        timings.to_csv(directory / "timings.csv", index=False)
        stored = json.loads((directory / "run.json").read_text())
        (directory / "run.json").write_text(json.dumps(stored | {"run_id": name} | facts))

    return make


def test_two_runs_alike_pass(call, runs):
    runs("base", whole=True)
    runs("new", whole=True)
    code, out, err = call("bench", "check", "base", "new")
    assert code == 0
    assert err == "fastlogit bench: comparing base with new\n"
    assert out.splitlines()[-1] == "verdict: ok"
    assert "▼" not in out
    # A check that passes shows the models only.
    assert "softmax/iris" not in out


def test_a_regression_is_exit_code_1_of_check_and_0_of_compare(call, runs):
    runs("base")
    runs("new", slower=1.2)
    code, out, _ = call("bench", "check", "base", "new")
    assert code == 1
    assert out.splitlines()[-1] == "verdict: regression"
    assert "▼ slower" in out
    code, out, _ = call("bench", "compare", "base", "new")
    assert code == 0
    assert out.splitlines()[-1] == "verdict: regression"
    assert "mlp-logistic/breast_cancer" in out


def test_the_slower_cells_of_a_check_are_named(call, runs):
    runs("base")
    runs("new", slower=3.0)
    code, out, _ = call("bench", "check", "base", "new")
    assert code == 1
    assert "softmax/iris" in out
    assert "logistic/iris" not in out.replace("mlp-", "").replace("softmax", "")


@pytest.mark.parametrize(
    ("status", "expected"), [("failed-verification", 3), ("failed", 4), ("unsupported", 4)]
)
def test_what_no_longer_works_has_its_exit_code(call, runs, status, expected):
    runs("base")
    runs("new", status=status)
    code, out, _ = call("bench", "check", "base", "new")
    assert code == expected
    assert f"no longer ok: numba in softmax/iris/sgd/b32/float32/t1/e998/s0: {status}" in out
    assert call("bench", "compare", "base", "new")[0] == 0


def test_thresholds_from_the_command_line_and_a_file(call, runs, tmp_path):
    runs("base")
    runs("new", slower=1.2)
    assert call("bench", "check", "base", "new", "--max-slowdown", "40%")[0] == 0
    assert call("bench", "check", "base", "new", "--max-slowdown", "0.02")[0] == 1
    (tmp_path / "t.toml").write_text('default = "2%"\n[impl.numba]\n"softmax/*" = "40%"\n')
    assert call("bench", "check", "base", "new", "--thresholds", "t.toml")[0] == 0
    (tmp_path / "t.toml").write_text('default = "40%"\n[cells]\n"logistic/*" = "2%"\n')
    assert call("bench", "check", "base", "new", "--thresholds", "t.toml")[0] == 0
    options = ("--thresholds", "t.toml", "--max-slowdown", "2%")
    assert call("bench", "check", "base", "new", *options)[0] == 1


def test_json_is_one_object_on_stdout(call, runs):
    runs("base")
    runs("new", slower=1.5)
    for command, expected in (("check", 1), ("compare", 0)):
        code, out, _ = call("bench", command, "base", "new", "--json")
        assert code == expected
        assert json.loads(out)["verdict"] == "regression"


def test_another_machine_needs_a_flag(call, runs):
    runs("base")
    runs("new", environment={"OPENBLAS_CORETYPE": "Haswell"}, packages={"numpy": "1"})
    for command in ("check", "compare"):
        code, out, err = call("bench", command, "base", "new")
        assert (code, out) == (2, "")
        assert "different machines: variable OPENBLAS_CORETYPE: none against Haswell" in err
        assert "--allow-different-machines" in err
    code, out, _ = call("bench", "check", "base", "new", "--allow-different-machines")
    assert code == 0
    assert "different machine: variable OPENBLAS_CORETYPE" in out
    assert "also different: numpy: " in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("base", "other"), "'other' is no run; in 'results' there are base"),
        (("base", "base", "--out", "nowhere"), "'base' is no run; in 'nowhere' there is none"),
        (("base", "base", "--max-slowdown", "10"), "--max-slowdown is '10'; for per cent write"),
        (("base", "base", "--max-slowdown", "-1%"), "--max-slowdown is '-1%'; it must be"),
        (("base", "base", "--thresholds", "no.toml"), "cannot read the thresholds"),
        (("base",), "Missing argument"),
    ],
)
def test_a_wrong_command_is_exit_code_2(call, runs, arguments, complaint):
    runs("base")
    code, out, err = call("bench", "check", *arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


def test_a_pattern_without_a_cell_is_refused(call, runs, tmp_path):
    runs("base")
    (tmp_path / "t.toml").write_text('[cells]\n"sofmax/*" = "20%"\n')
    code, _, err = call("bench", "check", "base", "base", "--thresholds", "t.toml")
    assert code == 2
    assert "'sofmax/*' in [cells] matches no cell of both runs" in err


def test_a_check_that_can_judge_nothing_does_not_pass(call, runs, tmp_path):
    runs("base")
    table = tmp_path / "results" / "base" / "timings.csv"
    timings = pd.read_csv(table)
    timings[timings["impl"] == "numpy"].to_csv(table, index=False)
    code, out, err = call("bench", "check", "base", "base")
    assert (code, out) == (2, "")
    assert "nothing to judge" in err
    assert call("bench", "compare", "base", "base")[0] == 0


@pytest.mark.parametrize("command", ["compare", "check"])
def test_help_has_examples(call, command):
    code, out, _ = call("bench", command, "--help")
    assert code == 0
    assert f"fastlogit bench {command} reference latest" in out
    assert "--max-slowdown" in out
