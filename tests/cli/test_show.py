"""``fastlogit bench show``: the answers of a stored run."""

import dataclasses
import io
import json

import pytest
from rich.console import Console
from synthetic_run import synthetic_run, write_run

from fastlogit.benchmark import storage
from fastlogit.benchmark.summary import summarise
from fastlogit.cli.show import print_cases, print_summary
from fastlogit.datasets import TOY_SETS

SMALL = {"models": ("softmax",), "datasets": ("iris",)}


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "results", **SMALL)


def test_the_answers_and_the_next_command(call, run):
    code, out, err = call("bench", "show", "latest")
    assert (code, err) == (0, "fastlogit bench: reading latest\n")
    assert "1. Same estimator, same arguments, on iris (tiny)" in out
    assert "5.0× faster" in out
    assert out.splitlines()[-1] == f"next: fastlogit bench report results/{run.name}"


def test_the_first_line_comes_before_anything_is_read(call, run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "read_run", stop)
    assert call("bench", "show", "latest") == (130, "", "fastlogit bench: reading latest\n")


def test_json_is_the_summary(call, run):
    code, out, _ = call("bench", "show", run.name, "--json")
    assert code == 0
    ratios = {row["implementation"]: row["speedup"] for row in json.loads(out)}
    assert ratios["numpy"] is None
    assert ratios["jax"] == pytest.approx(5, rel=0.1)


def test_nothing_is_written(call, run):
    before = sorted(run.iterdir())
    call("bench", "show", "latest")
    assert sorted(run.iterdir()) == before


def test_failures_come_before_the_answers(call, tmp_path):
    def fail(timing):
        if timing.implementation != "jax":
            return timing
        return dataclasses.replace(timing, time_s=None, status="failed", error="[bold]why[/]")

    write_run(tmp_path / "results", **SMALL, change=fail)
    out = " ".join(call("bench", "show", "latest")[1].split())
    assert ": [bold]why[/] geometric means" in out


def test_an_unfinished_run_is_called_so(call, tmp_path):
    write_run(tmp_path / "results", **SMALL, facts={"status": "interrupted"})
    code, out, err = call("bench", "show", "latest")
    assert code == 0
    assert "this run is not complete (interrupted); the results so far:\n" in err
    assert out.startswith("nothing was measured")  # there are no parts


def test_the_advice_and_its_program_come_first(call, tmp_path):
    figures = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), 0.75)
    figures |= dict.fromkeys(("baseline_accuracy", "balanced_accuracy", "roc_auc"), 0.5)
    counts = {"n_train": 80, "n_test": 20, "imbalance": 1.5, "folds": 5}
    advice = {"file": "a.csv", "model": "LogisticRegression", "arguments": {"C": 0.1}}
    advice |= {"source": "import pandas as pd [b]\n", **figures, **counts}
    write_run(tmp_path / "results", **SMALL, facts={"advice": advice})
    lines = call("bench", "show", "latest")[1].splitlines()
    assert lines[:3] == [
        "This program trains the model that suits the file:", "", "import pandas as pd [b]",
    ]  # fmt: skip
    assert "Advice for a.csv (80 training and 20 test rows):" in lines
    assert "Model: LogisticRegression(C=0.1), by 5-fold cross-validation" in lines


def test_why_there_is_no_advice_is_printed(call, tmp_path):
    write_run(tmp_path / "results", **SMALL, facts={"advice_error": "timeout after 600 s"})
    assert "no advice on the file: timeout after 600 s\n" in call("bench", "show", "latest")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("2020",), "'2020' is no run"), (("latest", "--out", "nowhere"), "'nowhere'")],
    ids=["other-id", "empty"],
)
def test_a_run_that_is_not_there(call, run, arguments, words):
    code, out, err = call("bench", "show", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def stored(**options):
    facts, timings, curves = synthetic_run(**options)
    return storage.StoredRun(None, facts, timings, curves, summarise(timings, curves, facts))


def render(run, print_it=print_summary, width=80):
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False)
    print_it(console, run)
    return console.file.getvalue()


def test_the_summary_fits_a_screen(tmp_path):
    run = storage.read_run(write_run(tmp_path, datasets=tuple(TOY_SETS)))
    lines = render(run).splitlines()
    assert len(lines) <= 22  # and the next command
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["geometric", "means", "fastlogit", "other", "fastlogit", "is"]
    assert lines[1] == "1. Same estimator, same arguments, 7 data sets (6 tiny)"
    assert lines[2] == "LogisticRegression"
    assert lines[3].startswith("  fit, repeated ")
    assert "5.0× faster (" in lines[3]


def test_cold_and_first_fits_have_seconds_and_losses_are_printed():
    lines = render(stored(datasets=("breast_cancer",))).splitlines()
    first = next(line for line in lines if line.startswith("  first fit of a process"))
    cold = next(line for line in lines if line.startswith("  first fit of an installation"))
    assert first.split()[5:9] == ["3.9", "s", "2.4", "s"]
    assert "1.6× slower (" in first
    assert "6.6× slower (" in cold


def test_each_library_is_held_against_fastlogit():
    lines = render(stored(questions=("same-steps",), noise=0.0)).splitlines()
    assert lines[1] == "2. Same steps of mini-batch training, times per row, 2 data sets (1 tiny)"
    assert "  against NumPy reference " in lines[2]
    assert lines[2].endswith("20× faster (20× to 20×)")
    assert lines[3].startswith("  against JAX ")
    assert lines[4].startswith("  against PyTorch ")


def test_an_open_direction_is_called_inconclusive_in_one_line():
    def change(timing):
        slow = (timing.repeat + (timing.implementation == "fastlogit")) % 2
        return dataclasses.replace(timing, time_s=1.0 + 0.5 * slow)

    run = stored(datasets=tuple(TOY_SETS), change=change)
    for print_it in (print_summary, print_cases):
        out = render(run, print_it)
        assert "  inconclusive\n" in out
        assert "slower to" not in out


def test_a_narrow_terminal_cuts_no_figure():
    assert "1.6× slower (" in render(stored(datasets=("breast_cancer",)), width=30)


def test_without_fastlogit_there_is_a_sentence():
    run = stored(questions=("same-steps",), implementations=("numpy", "jax"))
    assert "  fastlogit has no times; --all prints those of the others\n" in render(run)


def test_without_rows_there_is_a_sentence():
    def fail(timing):
        return dataclasses.replace(timing, status="failed", time_s=None, error="x")

    assert render(stored(models=("softmax",), change=fail)) == "nothing was measured\n"


def test_every_case_has_its_figures():
    run = stored(questions=("same-steps",), models=("mlp-softmax",), datasets=("digits",))
    lines = render(run, print_cases).splitlines()
    assert lines[0].split()[:2] == ["same-steps", "time"]
    assert lines[1].startswith("mlp-softmax/digits/sgd/b32/float32/")
    fastlogit = next(line for line in lines if line.startswith("  fastlogit "))
    assert "20× faster (" in fastlogit
    assert "%" in fastlogit
    assert max(map(len, lines)) <= 80


def test_a_failed_case_shows_its_status_and_no_figure():
    def fail(timing):
        if timing.implementation != "jax":
            return timing
        return dataclasses.replace(timing, status="failed", time_s=None, error="x")

    run = stored(questions=("same-steps",), models=("softmax",), change=fail)
    lines = render(run, print_cases).splitlines()
    assert [line.split() for line in lines if "JAX" in line] == [["JAX", "failed"]] * 2
