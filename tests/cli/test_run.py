"""``fastlogit bench run``: what it prints where, its files and every exit code."""

import errno
import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from fastlogit.benchmark import machine, session
from fastlogit.benchmark.implementations import IMPLEMENTATIONS

SMALL = ("-m", "softmax", "-d", "iris", "--epochs", "1", "--repeats", "2")
RUN = ("bench", "run", *SMALL)


def only_run(directory):
    (run,) = (directory / "results").iterdir()
    return run


def test_a_run_ends_with_the_answers_and_the_next_command(call, unmeasured, tmp_path):
    code, out, err = call(*RUN)
    assert code == 0
    run = only_run(tmp_path).relative_to(tmp_path)
    assert err.splitlines()[0] == "fastlogit bench run: loading"
    assert err.splitlines()[-1] == f"wrote {run}"
    assert "1. Same estimator, same arguments, on iris (tiny)" in out
    assert re.search(r"\n  fit, repeated +1\.0 ms +3\.0 ms  3\.0× faster \(3\.0× to", out)
    assert "2. Same steps of mini-batch training, times per row, on iris (tiny)" in out
    assert re.search(r"against NumPy reference +6\.7 µs +133 µs  20× faster", out)
    assert "3. Same loss by any algorithm" in out
    assert out.splitlines()[-1] == f"next: fastlogit bench report {run}"


def test_the_next_command_is_one(call, unmeasured):
    out = call(*RUN, "--out", "my runs")[1]
    assert re.search(r"next: fastlogit bench report 'my runs/\d{8}-", out)


def test_progress_has_an_estimate_and_can_be_left_out(call, unmeasured):
    err = call(*RUN, "--repeats", "4")[2]
    assert re.search(r"^5 cases in 2 rounds, about \d+ s$", err, re.MULTILINE)
    assert re.search(r"^\[1/8\] LogisticRegression/iris/lbfgs/fit/.*, .* left$", err, re.MULTILINE)
    assert "round 2 of 2: " in err
    assert "\x1b" not in err
    quiet = call(*RUN, "--no-progress")[2].splitlines()
    assert [line.split(" ")[0] for line in quiet] == ["fastlogit", "wrote"]


def test_what_spoils_figures_is_named(call, unmeasured, monkeypatch):
    monkeypatch.setattr(machine, "load_average", lambda: [1.6, 0.5, 0.5])
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(machine, "environment", lambda: {"OPENBLAS_CORETYPE": "Prescott"})
    err = " ".join(call(*RUN)[2].split())
    assert "warning: other programs are using this machine (load 1.6 in the last minute" in err
    assert "the environment sets OPENBLAS_CORETYPE=Prescott" in err
    monkeypatch.setattr(machine, "load_average", lambda: [0.9, 2.5, 2.5])
    monkeypatch.setattr(machine, "environment", dict)
    err = call(*RUN)[2]
    assert "warning" not in err
    assert "environment" not in err


def test_every_option_reaches_the_run(call, unmeasured, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    code, _, err = call(
        *("bench", "run", "-m", "softmax", "-m", "mlp-logistic", "-d", "iris", "-d", "wine"),
        *("-i", "numpy", "--batch-size", "8", "--batch-size", "64", "--solver", "adam"),
        *("--dtype", "float64", "--threads", "2", "--epochs", "3", "--hidden", "5"),
        *("--repeats", "1", "--seed", "4", "--seeds", "7", "--timeout", "2.5"),
        *("--learning-rate", "0.01", "--target-loss", "0.75", "--question", "same-steps"),
    )
    assert code == 0, err
    ((cases, kinds, repeats, timeout),) = unmeasured.asked
    assert ([kind.name for kind in kinds], repeats, timeout) == (["numpy"], 1, 2.5)
    expected = {
        "model": {"softmax", "mlp-logistic"}, "dataset": {"iris", "wine"}, "batch_size": {8, 64},
        "solver": {"adam"}, "dtype": {"float64"}, "threads": {2}, "epochs": {3}, "seed": {4, 7},
        "n_hidden": {None, 5}, "learning_rate": {0.01}, "target_loss": {0.75}, "task": {"train"},
    }  # fmt: skip
    assert {name: {getattr(case, name) for case in cases} for name in expected} == expected
    assert len(cases) == 2 * 2 * 2 * 2


def test_quick_and_the_default_differ_in_data_sets_and_repeats(call, monkeypatch):
    asked = []

    def stop(grid, implementations, repeats):
        asked.append((len(grid.datasets), repeats))
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "describe", stop)
    assert call("bench", "run", "--quick")[0] == 130
    call("bench", "run")
    call("bench", "run", "--quick", "--repeats", "3", "-d", "wine")
    assert asked == [(2, 4), (7, 6), (1, 3)]


def test_the_timeout_can_be_none(call, unmeasured):
    for words in ((), ("--timeout", "inf")):
        call(*RUN, *words)
    assert [timeout for *_, timeout in unmeasured.asked] == [600.0, None]


def test_json_is_the_summary(call, unmeasured, tmp_path):
    code, out, _ = call(*RUN, "--json")
    assert code == 0
    summary = pd.read_csv(only_run(tmp_path) / "summary.csv")
    records = json.loads(out)
    assert [row["implementation"] for row in records] == list(summary["implementation"])
    assert list(records[0]) == list(summary.columns)


def test_all_prints_every_case(call, unmeasured):
    out = call(*RUN, "--all")[1]
    assert "LogisticRegression/iris/lbfgs/fit/float64/t1/s0 (tiny: bound by overhead)" in out
    assert out.index("LogisticRegression/iris/lbfgs/predict_proba") < out.index("1. Same estimator")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--question", "same-step"), "no question 'same-step' (did you mean 'same-steps'?)"),
        (("-m", "softmx"), "no model 'softmx' (did you mean 'softmax'?); there are logistic,"),
        (("-d", "digit"), "no data set 'digit' (did you mean 'digits'?); there are iris,"),
        (("-d", "classification-10"), "classification-<n>x<d>x<k>"),
        (("-i", "nump"), "no implementation 'nump' (did you mean 'numpy'?); there are"),
        (("--dtype", "float16"), "there are float32, float64"),
        (("--solver", "lbfg"), "there are sgd, adam"),
        (("--hidden", "9", "-m", "softmax"), "--hidden 9 is for networks"),
        (("--batch-size", "0"), "batch size is 0"),
        (("--epochs", "0"), "epochs is 0"),
        (("--threads", "100000"), "100000 threads are asked for, but this process may use"),
        (("--seed", "-1"), "the seed is -1; it must be from 0 to"),
        (("--target-loss", "0"), "the target loss is 0; it must be positive and finite"),
        (("--learning-rate", "0"), "the learning rate is 0; it must be positive"),
        (("--data", "no.csv"), "no.csv"),
        (("--target", "colour"), "--target describes a file, and there is no --data"),
        (("--drop", "width"), "--drop describes a file, and there is no --data"),
        (("--no-header",), "--no-header describes a file, and there is no --data"),
        (("--timeout", "0"), "--timeout is 0; it must be positive"),
        (("--timeout", "nan"), "--timeout is nan; it must be positive"),
        (("--timeout", "soon"), "timeout"),
        (("--repeats", "0"), "repeats"),
        (("--repeats", "many"), "repeats"),
        (("--colour",), "--colour"),
    ],
)
def test_a_wrong_command_ends_with_2_and_no_files(call, unmeasured, tmp_path, arguments, message):
    code, out, err = call("bench", "run", *arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert not (tmp_path / "results").exists()


def test_a_missing_implementation_says_how_to_install_it(call, monkeypatch):
    torch = next(each for each in IMPLEMENTATIONS if each.name == "torch")
    monkeypatch.setattr(torch, "module", "a_module_that_nobody_has")
    code, _, err = call(*RUN, "-i", "torch")
    assert code == 2
    assert "the module a_module_that_nobody_has is not installed" in err
    assert torch.install in err


def test_an_out_that_cannot_be_written_ends_with_2_before_any_work(call, unmeasured, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = call(*RUN, "--out", "file")
    assert code == 2
    assert "cannot write a run into file: it is a file" in err
    assert unmeasured.asked == []


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ({"fastlogit": ("failed-verification", "parameters differ")}, 3),
        ({"fastlogit": ("failed", "RuntimeError: no memory [a/b]")}, 4),
        ({"fastlogit": ("failed", "timeout after 600 s")}, 124),
        ({"fastlogit": ("failed", "x"), "numpy": ("failed", "timeout after 600 s")}, 124),
        ({"fastlogit": ("failed", "timeout after 9 s"), "numpy": ("failed-verification", "y")}, 3),
        ({"fastlogit": ("unsupported", "no such solver")}, 0),
    ],
    ids=["wrong", "raises", "timeout", "timeout-and-raises", "wrong-and-timeout", "unsupported"],
)
def test_failures_are_named_and_the_worst_decides(call, unmeasured, failures, expected):
    unmeasured.failures = failures
    code, out, err = call(*RUN)
    assert code == expected
    status, error = failures["fastlogit"]
    failed = status != "unsupported"  # which only --all names
    assert (f": {status} in 5 cases, such as" in " ".join(out.split())) is failed
    assert (error in " ".join(out.split())) is failed
    assert (f"fastlogit {status} in" in err) is failed


def test_ctrl_c_ends_with_130_and_the_command_that_resumes(call, unmeasured, tmp_path):
    unmeasured.ends = KeyboardInterrupt()
    code, out, err = call(*RUN)
    assert (code, out) == (130, "")
    run = only_run(tmp_path)
    assert err.splitlines()[-2:] == [
        f"interrupted; what was measured is in {run.relative_to(tmp_path)}",
        f"next: fastlogit {' '.join(RUN)} --resume",
    ]
    unmeasured.ends = None
    code, _, err = call(*RUN, "--resume")
    assert code == 0
    assert f"resuming {run.relative_to(tmp_path)}" in " ".join(err.split())
    assert "[1/4] LogisticRegression/iris/lbfgs/predict_proba" in err
    assert only_run(tmp_path) == run


def test_without_an_unfinished_run_resume_begins_a_new_one(call, unmeasured, tmp_path):
    code, _, err = call(*RUN, "--resume")
    assert code == 0
    assert "no unfinished run in results" in err
    assert (only_run(tmp_path) / "timings.csv").is_file()


def test_a_full_disk_ends_with_4_and_keeps_what_there_is(call, unmeasured, tmp_path):
    unmeasured.ends = OSError(errno.ENOSPC, "No space left on device", "results/r/parts/1.json")
    code, out, err = call(*RUN)
    assert (code, out) == (4, "")
    assert err.splitlines()[-2] == (
        "Error: cannot write results/r/parts/1.json: No space left on device; what was measured "
        f"is in {only_run(tmp_path).relative_to(tmp_path)}"
    )
    assert err.splitlines()[-1].endswith(" --resume")


def test_a_dry_run_prints_the_plan_and_writes_nothing(call, unmeasured, tmp_path):
    code, out, _ = call(*RUN, "-i", "numpy", "--question", "same-steps", "-d", "wine", "--dry-run")
    assert code == 0
    first, second, total = out.splitlines()
    assert re.fullmatch(r" *\d+ m?s  softmax/iris/sgd/b32/float32/t1/e1/s0: numpy", first)
    assert "softmax/wine/" in second
    assert re.fullmatch(r"2 cases, 2 repeats: a few seconds; nothing was measured", total)
    assert list(tmp_path.iterdir()) == []
    (case,) = json.loads(call(*RUN, "--question", "same-steps", "--dry-run", "--json")[1])
    assert case["case_id"] == "softmax/iris/sgd/b32/float32/t1/e1/s0"
    assert case["implementations"] == ["numpy", "fastlogit"]
    assert case["seconds"] > 0
    assert unmeasured.asked == []


@pytest.fixture
def own_file(tmp_path):
    pytest.importorskip("duckdb")
    pytest.importorskip("skrub")
    rows = [(i % 7, i * i % 11, "red" if i % 3 else "blue") for i in range(120)]
    lines = ["length,width,colour", *(f"{a},{b},{c}" for a, b, c in rows)]
    (tmp_path / "my [1].csv").write_text("\n".join(lines) + "\n")
    return "my [1].csv"


def test_without_a_target_the_error_ends_with_the_next_command(call, own_file):
    code, _, err = call("bench", "run", "--data", own_file)
    assert code == 2
    assert err.splitlines()[-1].strip() == (
        "fastlogit bench run --data 'my [1].csv' --target colour"
    )


@pytest.mark.parametrize(
    ("given", "kept", "of_file"),
    [
        (("run", "-m", "logistic", "--quick", "--out", "my runs"),
         "run -m logistic --quick --out 'my runs'", ""),
        (("run", "--drop=width", "--na", "?", "--repeats=2"), "run --repeats=2",
         " --drop width --na '?'"),
        (("verify", "--force", "--seed", "3"), "verify --seed 3", " --force"),
    ],
)  # fmt: skip
def test_the_next_command_has_all_words_of_this_one(call, own_file, given, kept, of_file):
    code, _, err = call("bench", *given, "--data", own_file)
    assert code == 2
    assert err.splitlines()[-1].strip() == (
        f"fastlogit bench {kept} --data 'my [1].csv'{of_file} --target colour"
    )


def test_what_was_found_in_a_file_is_printed(call, own_file, unmeasured, tmp_path):
    arguments = ("--data", own_file, "--target", "colour", "--drop", "width", "--repeats", "2")
    code, out, err = call("bench", "run", *arguments)
    assert code == 0
    assert "my [1].csv: 120 rows, 1 feature, 2 classes" in err
    assert "choosing a model for my [1].csv by cross-validation" in err
    assert "on my [1]" in out
    assert str(tmp_path) not in (only_run(tmp_path) / "run.json").read_text()


@pytest.mark.slow
def test_a_real_run_end_to_end(tmp_path):
    arguments = ("bench", "run", "--question", "same-steps", *SMALL)
    main = "from fastlogit.cli import main; main()"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", main, *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "[1/1] softmax/iris/sgd/b32/float32/t1/e1/s0" in done.stderr
    timings = pd.read_csv(only_run(tmp_path) / "timings.csv")
    assert list(timings["implementation"]) == ["numpy"] * 2 + ["fastlogit"] * 2
    assert timings["verified"].all()
