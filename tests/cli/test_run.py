"""``fastlogit bench run``: what it prints where, its files and every exit code."""

import errno
import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from fakes import FAKES

from fastlogit.benchmark import machine, session
from fastlogit.benchmark.appended import AppendedTable
from fastlogit.benchmark.contenders import CONTENDERS

OWN = ("-i", "numpy", "-i", "numba")
SMALL = ("-m", "softmax", "-d", "iris", "--epochs", "1", "--repeats", "2")


def only_run(directory):
    (run,) = (directory / "results").iterdir()
    return run


def test_a_run_ends_with_a_table_files_and_exit_code_0(call, tmp_path):
    code, out, err = call("bench", "run", *SMALL)
    assert code == 0
    assert "numba against numpy:" in out
    assert "softmax" in out
    assert "[1/1] softmax/iris/sgd/b32/float32/t1/e1/s0" in err
    run = only_run(tmp_path)
    assert err.splitlines()[-1] == f"wrote {run.relative_to(tmp_path)}"
    timings = pd.read_csv(run / "timings.csv")
    unasked = [name for name, kind in CONTENDERS.items() if kind.by_default]
    assert list(timings["impl"]) == [name for name in unasked for _ in range(2)]
    assert timings.loc[timings["division"] == "closed", "verified"].all()
    assert list(pd.read_csv(run / "summary.csv")["impl"]) == unasked
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
        *("--repeats", "1", "--seed", "4", "--seeds", "7", "--out", "elsewhere", "--no-progress"),
        *("--learning-rate", "0.01", "--target-loss", "0.75"),
    )
    assert code == 0
    assert "[1/" not in err
    (run,) = (tmp_path / "elsewhere").iterdir()
    timings = pd.read_csv(run / "timings.csv")
    assert len(timings) == 2 * 2 * 2 * 2
    expected = {
        "model": {"softmax", "mlp-logistic"},
        "dataset": {"iris", "wine"},
        "impl": {"numpy"},
        "batch_size": {8, 64},
        "solver": {"adam"},
        "dtype": {"float64"},
        "threads": {2},
        "epochs": {3},
        "seed": {4, 7},
        "repeat": {0},
    }
    assert {name: set(timings[name]) for name in expected} == expected
    assert set(timings["n_hidden"].dropna()) == {5}
    assert timings["cell_id"].str.contains("/lr0.01/").all()
    facts = json.loads((run / "run.json").read_text())
    assert set(facts["target_loss"].values()) == {0.75}


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

    def stop(grid, contenders, repeats):
        asked.append((len(grid.datasets), repeats))
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "describe", stop)
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
        (("--hidden", "9", "-m", "softmax"), "--hidden is 9, and there is no hidden layer in soft"),
        (("--batch-size", "0"), "batch size is 0"),
        (("--epochs", "0"), "epochs is 0"),
        (("--threads", "100000"), "100000 threads are asked for, but this process may use"),
        (("--seed", "-1"), "the seed is -1; it must be from 0 to"),
        (("--target-loss", "0"), "the target loss is 0; it must be positive and finite"),
        (("--data", "no.csv"), "cannot read"),
        (("--target", "colour"), "--target is for a file, and there is no --data"),
        (("--drop", "width"), "--drop is for a file, and there is no --data"),
        (("--timeout", "0"), "the timeout is 0 s; it must be positive"),
        (("--timeout", "nan"), "the timeout is nan s; it must be positive"),
        (("--timeout", "soon"), "timeout"),
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
    present = [kind for kind in CONTENDERS.values() if kind.name not in ("jax", "torch")]
    assert list(dict.fromkeys(timings["impl"])) == [kind.name for kind in present]
    assert set(timings[timings["verified"].isna()]["impl"]) == {
        kind.name for kind in present if kind.division == "open"
    }
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
    assert "cannot write a run into file: it is a file" in err


def test_wrong_work_ends_with_3_and_shows_no_time(call, contender, tmp_path):
    contender("wrong")
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
    contender("raises")
    code, out, err = call("bench", "run", *SMALL, "-i", "raises", "-i", "numpy")
    assert code == 4
    assert "failed: RuntimeError: no memory" in out
    assert "raises failed" in err
    timings = pd.read_csv(only_run(tmp_path) / "timings.csv")
    assert list(timings["status"]) == ["failed", "ok", "ok"]


@pytest.mark.parametrize(
    ("impls", "expected"),
    [
        (("hangs", "numpy"), 124),
        (("hangs", "raises", "numpy"), 124),
        (("raises", "hangs", "wrong", "numpy"), 3),
        (("unable", "numpy"), 0),
    ],
)
def test_of_several_troubles_the_worst_decides(call, contender, tmp_path, impls, expected):
    for impl in impls[:-1]:
        contender(impl)
    asked = [word for impl in impls for word in ("-i", impl)]
    code, out, _ = call("bench", "run", *SMALL, *asked, "--timeout", "7")
    assert code == expected
    if "hangs" in impls:
        assert "hangs in softmax/iris/sgd/b32/float32/t1/e1/s0: failed: timeout after 7 s" in out
        (status,) = pd.read_csv(only_run(tmp_path) / "timings.csv").query("impl == 'hangs'")[
            "status"
        ]
        assert status == "failed"


def test_inf_waits_for_ever(call, contender, monkeypatch):
    asked = []
    perform = session.perform

    def note(*args, timeout, **options):
        asked.append(timeout)
        return perform(*args, timeout=timeout, **options)

    monkeypatch.setattr(session, "perform", note)
    assert call("bench", "run", *SMALL, "-i", "numpy", "--timeout", "inf")[0] == 0
    assert call("bench", "run", *SMALL, "-i", "numpy", "--timeout", "2.5")[0] == 0
    assert call("bench", "run", *SMALL, "-i", "numpy")[0] == 0
    assert asked == [None, 2.5, 600]


def test_a_disk_that_fills_up_ends_with_4_and_keeps_what_there_is(call, tmp_path, monkeypatch):
    append, calls = AppendedTable.append, []

    def full(table, rows):
        calls.append(table)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device", "results/r/timings.csv.partial")
        append(table, rows)

    monkeypatch.setattr(AppendedTable, "append", full)
    arguments = ("bench", "run", *SMALL, "-m", "logistic", "-i", "numpy")
    code, out, err = call(*arguments)
    assert code == 4
    assert out == ""
    run = only_run(tmp_path)
    assert err.splitlines()[-2:] == [
        "Error: cannot write results/r/timings.csv.partial: No space left on device; what was "
        f"measured is in results/{run.name}",
        f"go on with: fastlogit {' '.join(arguments)} --resume",
    ]
    assert list(pd.read_csv(run / "timings.csv.partial")["model"]) == ["softmax"] * 2
    code, _, err = call(*arguments, "--resume")
    assert code == 0
    assert f"going on with results/{run.name}, which has 1 cell" in err
    assert list(pd.read_csv(run / "timings.csv")["model"]) == ["softmax"] * 2 + ["logistic"] * 2


def test_a_dry_run_prints_the_plan_and_writes_nothing(call, tmp_path, monkeypatch):
    def work(*args):
        raise AssertionError("began anyway")

    monkeypatch.setattr(session, "describe", work)
    code, out, _ = call("bench", "run", *SMALL, *OWN, "-d", "wine", "--dry-run")
    assert code == 0
    first, second, total = out.splitlines()
    assert re.fullmatch(r"softmax/iris/sgd/b32/float32/t1/e1/s0 +0 s  numpy, numba", first)
    assert second.startswith("softmax/wine/")
    assert re.fullmatch(r"2 cells, 2 repeats each: about \d+ s; nothing was written", total)
    assert list(tmp_path.iterdir()) == []
    code, out, _ = call("bench", "run", *SMALL, *OWN, "--dry-run", "--json")
    (cell,) = json.loads(out)
    assert cell["cell_id"] == "softmax/iris/sgd/b32/float32/t1/e1/s0"
    assert cell["impls"] == ["numpy", "numba"]
    assert cell["seconds"] > 0


@pytest.fixture
def own_file(tmp_path):
    rows = [(i % 7, i * i % 11, "red" if i % 3 else "blue") for i in range(120)]
    lines = ["length,width,colour", *(f"{a},{b},{c}" for a, b, c in rows)]
    (tmp_path / "my.csv").write_text("\n".join(lines) + "\n")


def test_a_file_of_the_user_s_is_measured_and_advised_on(call, own_file, tmp_path):
    arguments = (
        "bench",
        "run",
        "--data",
        str(tmp_path / "my.csv"),
        "--target",
        "colour",
        "-m",
        "softmax",
    )
    code, out, err = call(*arguments, "--repeats", "2", "--batch-size", "32", "--epochs", "3")
    assert code == 0
    assert "my.csv: 120 rows, 2 features, 2 classes" in err
    assert "advice for my.csv" in out
    run = only_run(tmp_path)
    assert set(pd.read_csv(run / "timings.csv")["dataset"]) == {"my"}
    assert pd.read_csv(run / "curves.csv")["test_accuracy"].notna().all()
    facts = json.loads((run / "run.json").read_text())
    assert (facts["data"]["file"], facts["data"]["n_samples"]) == ("my.csv", 120)
    assert str(tmp_path) not in json.dumps(facts)


def test_a_column_can_be_left_out(call, own_file):
    arguments = ("bench", "run", "--data", "my.csv", "--target", "colour", "--drop", "width")
    code, _, err = call(*arguments, "--dry-run")
    assert code == 0
    assert "my.csv: 120 rows, 1 feature, 2 classes" in err


def test_a_run_on_a_file_that_has_changed_is_not_resumed(call, own_file, contender, tmp_path):
    contender("interrupted")
    FAKES["interrupted"].runs_left = 1
    arguments = ("bench", "run", "--data", "my.csv", "--target", "colour", "-m", "softmax")
    arguments += ("--epochs", "1", "--repeats", "1", "--batch-size", "32", "-i", "interrupted")
    assert call(*arguments)[0] == 130
    with (tmp_path / "my.csv").open("a") as stream:
        stream.write("1,2,red\n")
    code, _, err = call(*arguments, "--resume")
    assert code == 0
    assert "which differs in data.size_bytes (" in err


def test_what_cannot_be_resumed_is_said_and_a_new_run_begun(call, contender, tmp_path):
    contender("interrupted")
    FAKES["interrupted"].runs_left = 1
    call("bench", "run", *SMALL, "-i", "interrupted")
    old = only_run(tmp_path)
    code, _, err = call("bench", "run", *SMALL, "-i", "numpy", "--resume")
    assert code == 0
    assert (
        f"the newest unfinished run is results/{old.name}, which differs in "
        "impls (interrupted, now numpy); starting a new one"
    ) in err
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(call, contender, tmp_path, monkeypatch):
    contender("interrupted")
    monkeypatch.setattr(CONTENDERS["interrupted"], "runs_left", 1)
    arguments = ("bench", "run", *SMALL, "-i", "interrupted", "-i", "numpy")
    code, out, err = call(*arguments)
    assert code == 130
    assert out == ""
    run = only_run(tmp_path)
    assert err.splitlines()[-2:] == [
        f"interrupted; what was measured is in {run.relative_to(tmp_path)}",
        f"go on with: fastlogit {' '.join(arguments)} --resume",
    ]
    assert (run / "timings.csv.partial").exists()
    assert not (run / "timings.csv").exists()
    code, _, err = call(*arguments, "--resume")
    assert code == 0
    assert f"going on with {run.relative_to(tmp_path)}, which has 0 cells" in err
    assert only_run(tmp_path) == run
    assert len(pd.read_csv(run / "timings.csv")) == 4


def test_ctrl_c_before_the_run_begins_ends_with_130(call, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "describe", interrupt)
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
