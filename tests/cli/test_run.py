"""``fastlogit bench run``: what it prints where, its files and every exit code."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from fastlogit.benchmark import machine, session
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.contenders.own import NumpyContender
from fastlogit.benchmark.problem import Outcome

SMALL = ("-m", "softmax", "-d", "iris", "--epochs", "1", "--repeats", "2")


def only_run(directory):
    (run,) = (directory / "results").iterdir()
    return run


class Wrong(NumpyContender):
    name = "wrong"

    def result(self):
        outcome = super().result()
        return Outcome(tuple(p + 1e-3 for p in outcome.params), outcome.loss_curve)


class Raises(NumpyContender):
    name = "raises"

    def run(self):
        raise RuntimeError("broken")


class Interrupted(NumpyContender):
    name = "interrupted"

    def run(self):
        raise KeyboardInterrupt


def test_a_run_ends_with_a_table_files_and_exit_code_0(call, tmp_path):
    code, out, err = call("bench", "run", *SMALL)
    assert code == 0
    assert "numba against numpy:" in out
    assert "softmax" in out
    assert "[1/1] softmax/iris/sgd/b32/float32/t1/e1/s0" in err
    run = only_run(tmp_path)
    assert err.splitlines()[-1] == f"wrote {run.relative_to(tmp_path)}"
    timings = pd.read_csv(run / "timings.csv")
    assert len(timings) == 4
    assert timings["verified"].all()
    assert len(pd.read_csv(run / "summary.csv")) == 2
    facts = json.loads((run / "run.json").read_text())
    assert facts["command"] == ["fastlogit", "bench", "run", *SMALL]


def test_variables_that_steer_blas_are_pointed_out(call, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    _, _, err = call("bench", "run", *SMALL, "-i", "numpy")
    assert "the environment sets" in err
    assert "OPENBLAS_CORETYPE=Prescott" in err
    assert "OPENBLAS_CORETYPE=Prescott" in call("info")[1]


def test_without_such_variables_nothing_is_said(call, monkeypatch):
    monkeypatch.setattr(machine, "environment", dict)
    assert "environment" not in call("bench", "run", *SMALL, "-i", "numpy")[2]


def test_off_a_terminal_nothing_is_coloured_or_animated(call):
    _, out, err = call("bench", "run", *SMALL)
    assert "\x1b" not in out + err
    assert "\r" not in out + err


def test_every_option_reaches_the_run(call, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    code, _, err = call(
        *("bench", "run", "-m", "softmax", "-m", "mlp-logistic", "-d", "iris", "-d", "wine"),
        *("-i", "numpy", "--batch-size", "8", "--batch-size", "64", "--solver", "adam"),
        *("--dtype", "float64", "--threads", "2", "--epochs", "3", "--hidden", "5"),
        *("--repeats", "1", "--seed", "4", "--out", "elsewhere", "--no-progress"),
    )
    assert code == 0
    assert "[1/" not in err
    (run,) = (tmp_path / "elsewhere").iterdir()
    timings = pd.read_csv(run / "timings.csv")
    assert len(timings) == 2 * 2 * 2
    expected = {
        "model": {"softmax", "mlp-logistic"},
        "dataset": {"iris", "wine"},
        "impl": {"numpy"},
        "batch_size": {8, 64},
        "solver": {"adam"},
        "dtype": {"float64"},
        "threads": {2},
        "epochs": {3},
        "seed": {4},
        "repeat": {0},
    }
    assert {name: set(timings[name]) for name in expected} == expected
    assert set(timings["n_hidden"].dropna()) == {5}


def test_json_is_the_summary(call, tmp_path):
    code, out, _ = call("bench", "run", *SMALL, "--json")
    assert code == 0
    records = json.loads(out)
    summary = pd.read_csv(only_run(tmp_path) / "summary.csv")
    assert [record["impl"] for record in records] == list(summary["impl"])
    assert list(records[0]) == list(summary.columns)
    assert records[0]["speedup_vs_numpy"] is None


def test_quick_and_the_default_differ_in_data_sets_and_repeats(call, monkeypatch):
    asked = []

    def stop(out, grid, contenders, repeats):
        asked.append((len(grid.datasets), repeats))
        raise OSError("enough")

    monkeypatch.setattr(session, "open_run", stop)
    call("bench", "run", "--quick")
    call("bench", "run")
    call("bench", "run", "--quick", "--repeats", "3", "-d", "wine")
    assert asked == [(2, 5), (7, 10), (1, 3)]


def test_quick_end_to_end(call, tmp_path):
    code, _, _ = call("bench", "run", "--quick", "-m", "logistic", "-d", "iris", "-i", "numba")
    assert code == 0
    assert len(pd.read_csv(only_run(tmp_path) / "timings.csv")) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "softmx"), "no model 'softmx' (did you mean 'softmax'?); there are logistic,"),
        (("-d", "digit"), "no data set 'digit' (did you mean 'digits'?); there are iris,"),
        (("-d", "classification-10"), "classification-<n>x<d>x<k>"),
        (("-i", "numbo"), "no implementation 'numbo' (did you mean 'numba'?); there are"),
        (("--dtype", "float16"), "there are float32, float64"),
        (("--solver", "lbfg"), "there are sgd, adam"),
        (("--batch-size", "0"), "batch size is 0"),
        (("--epochs", "0"), "epochs is 0"),
        (("--threads", "100000"), "100000 threads are asked for, but this process may use"),
        (("--repeats", "0"), "repeats"),
        (("--repeats", "many"), "repeats"),
        (("--colour",), "--colour"),
    ],
)
def test_a_wrong_command_ends_with_2_and_no_files(call, tmp_path, arguments, message):
    code, out, err = call("bench", "run", *arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert not (tmp_path / "results").exists()


def test_an_absent_implementation_says_how_to_get_it(call, absent):
    code, _, err = call("bench", "run", *SMALL, "-i", "absent")
    assert code == 2
    assert "the module a_module_that_nobody_has is not installed" in err
    assert "pip install luck" in err


def test_an_absent_implementation_that_nobody_asked_for_is_left_out(call, absent, tmp_path):
    code, _, _ = call("bench", "run", *SMALL)
    assert code == 0
    assert "absent" not in (only_run(tmp_path) / "timings.csv").read_text()


def test_the_peers_take_part_when_asked(call, tmp_path, monkeypatch):
    for name in ("jax", "torch"):
        monkeypatch.setattr(CONTENDERS[name], "module", "a_module_that_nobody_has")
    code, out, _ = call("bench", "run", *SMALL, "-i", "all")
    assert code == 0
    assert "scikit-learn" in out
    timings = pd.read_csv(only_run(tmp_path) / "timings.csv")
    assert list(dict.fromkeys(timings["impl"])) == ["numpy", "numba", "scikit-learn"]
    assert timings["verified"].isna().to_list() == [False] * 4 + [True] * 2
    code, out, _ = call("bench", "list")
    assert out.count('install it with: pip install "fastlogit[peers]"') == 2
    code, _, err = call("bench", "run", *SMALL, "-i", "torch")
    assert code == 2
    assert 'pip install "fastlogit[peers]"' in err


def test_a_case_that_a_peer_cannot_do_is_no_failure(call, tmp_path):
    code, out, _ = call(
        *("bench", "run", *SMALL, "--solver", "adam", "-i", "numpy", "-i", "scikit-learn")
    )
    assert code == 0
    assert "unsupported: SGDClassifier has no solver adam" in out
    assert set(pd.read_csv(only_run(tmp_path) / "summary.csv")["status"]) == {"ok", "unsupported"}


def test_an_out_that_cannot_be_written_ends_with_2_before_any_work(call, tmp_path, monkeypatch):
    def work(*args):
        raise AssertionError("measured anyway")

    monkeypatch.setattr(session, "perform", work)
    (tmp_path / "file").write_text("")
    code, _, err = call("bench", "run", *SMALL, "--out", "file")
    assert code == 2
    assert "cannot write a run into file" in err


def test_wrong_work_ends_with_3_and_shows_no_time(call, contender, tmp_path):
    contender(Wrong)
    code, out, _ = call("bench", "run", *SMALL, "-i", "wrong", "-i", "numpy")
    assert code == 3
    assert "wrong in softmax/iris/sgd/b32/float32/t1/e1/s0: failed-verification: param" in out
    run = only_run(tmp_path)
    timings = pd.read_csv(run / "timings.csv")
    (row,) = timings[timings["impl"] == "wrong"].to_dict("records")
    assert row["status"] == "failed-verification"
    assert not row["verified"]
    assert all(pd.isna(row[time]) for time in ("time_s", "compile_s", "prep_s"))
    (row,) = pd.read_csv(run / "summary.csv").query("impl == 'wrong'").to_dict("records")
    assert row["n"] == 0
    assert all(pd.isna(row[name]) for name in ("median_s", "samples_per_s", "speedup_vs_numpy"))


def test_failed_cells_end_with_4(call, contender, tmp_path):
    contender(Raises)
    code, out, err = call("bench", "run", *SMALL, "-i", "raises", "-i", "numpy")
    assert code == 4
    assert "failed: RuntimeError: broken" in out
    assert "raises failed" in err
    timings = pd.read_csv(only_run(tmp_path) / "timings.csv")
    assert list(timings["status"]) == ["failed", "ok", "ok"]


def test_ctrl_c_ends_with_130_and_keeps_what_was_measured(call, contender, tmp_path):
    contender(Interrupted)
    code, out, err = call("bench", "run", *SMALL, "-i", "interrupted", "-i", "numpy")
    assert code == 130
    assert out == ""
    run = only_run(tmp_path)
    assert err.splitlines()[-1] == (
        f"interrupted; what was measured is in {run.relative_to(tmp_path)}"
    )
    assert (run / "timings.csv.partial").exists()
    assert not (run / "timings.csv").exists()


def test_ctrl_c_before_the_run_begins_ends_with_130(call, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "open_run", interrupt)
    assert call("bench", "run", *SMALL)[0] == 130


def test_runs_never_share_a_directory(call, tmp_path):
    call("bench", "run", *SMALL, "-i", "numpy")
    before = {path: path.read_bytes() for path in only_run(tmp_path).iterdir()}
    call("bench", "run", *SMALL, "-i", "numpy")
    assert len(list((tmp_path / "results").iterdir())) == 2
    assert {path: path.read_bytes() for path in before} == before


def test_the_console_script_as_a_process(tmp_path):
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "fastlogit.cli", "bench", "run", *SMALL, "--quick"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert process.stderr.readline() == "fastlogit bench: loading\n"
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "numba against numpy" in out


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_sigint_as_a_process(tmp_path):
    import signal

    process = subprocess.Popen(
        [sys.executable, "-m", "fastlogit.cli", "bench", "run", "-i", "numpy", "--repeats", "50"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("[1/28]"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "interrupted; what was measured is in results" in err
    (run,) = (tmp_path / "results").iterdir()
    rows = pd.read_csv(run / "timings.csv.partial")
    assert len(rows[rows["model"] == "logistic"]) >= 50
