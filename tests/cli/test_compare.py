"""``fastlogit bench compare`` and ``check``: what they print where, and every exit code."""

import json
import re
from dataclasses import replace

import pytest
from synthetic_run import write_run

from fastlogit.cli.compare import parse_slowdown

LIMITED = {"questions": ("same-estimator", "same-steps"), "models": ("softmax",)}


@pytest.fixture
def runs(tmp_path):
    """Write a run into results/, the times of a model's trainings multiplied or with a status."""

    def make(name, *, slower=1.0, status=None, dataset=None, seed=0, **facts):
        def change(timing):
            if (timing.model, timing.implementation) != ("softmax", "fastlogit"):
                return timing
            if dataset not in (None, timing.dataset):
                return timing
            if status is not None:
                return replace(timing, time_s=None, status=status, error="why [not]")
            return replace(timing, time_s=timing.time_s * slower)

        options = LIMITED | {"noise": 0.01, "seed": seed, "change": change, "facts": facts}
        return write_run(tmp_path / "results", run_id=name, **options)

    return make


def test_a_regression_is_code_1_of_check_and_0_of_compare(call, runs):
    runs("base")
    runs("new", slower=1.3, seed=1)
    code, out, err = call("bench", "check", "base", "new")
    assert code == 1
    assert err == "fastlogit bench: reading base\nfastlogit bench: reading new\n"
    assert out.splitlines()[-1] == "verdict: regression"
    assert re.match(r"slower +\+[23]\d% .* softmax train by fastlogit, 2 cases\n", out)
    assert "softmax/iris" not in out
    code, out, _ = call("bench", "compare", "base", "new")
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "verdict: regression"
    head = lines.index("changes of the time beside the baseline's, with 95 % intervals:")
    assert any("softmax/iris" in line for line in lines[head + 1 :])


def test_a_single_slow_case_is_named(call, runs):
    runs("base")
    runs("new", slower=2.0, dataset="iris", seed=1)
    code, out, _ = call("bench", "check", "base", "new")
    assert code == 1
    assert re.match(r"slower +\+\d+% .* softmax/iris/\S+ by fastlogit, \S+ ms to \S+ ms\n", out)
    assert "single cases: 1 of " in out


def test_an_inconclusive_check_passes_only_without_fail_on_inconclusive(call, runs):
    runs("base")
    runs("new", seed=1)
    for options, expected in (((), 0), (("--fail-on-inconclusive",), 5)):
        code, out, _ = call("bench", "check", "base", "new", *options)
        assert code == expected
        assert "verdict: inconclusive for" in out
        assert "% slower; no regression" in " ".join(out.split())
        assert not re.search(r"\bok\b", out, re.IGNORECASE)


def test_one_data_set_is_inconclusive_too(call, runs, tmp_path):
    write_run(tmp_path / "results", run_id="base", **LIMITED | {"datasets": ("iris",)})
    code, out, _ = call("bench", "check", "base", "base", "--fail-on-inconclusive")
    assert code == 5
    assert "none has two cases" in out
    assert "verdict: inconclusive: a model is judged by two cases or more" in out
    assert not re.search(r"\bok\b", out)


def test_with_enough_allowed_it_is_ok(call, runs):
    runs("base")
    runs("new", seed=1)
    options = ("--max-slowdown", "40%", "--fail-on-inconclusive")
    code, out, _ = call("bench", "check", "base", "new", *options)
    assert code == 0
    assert "40% allowed: 4 within" in out
    assert out.splitlines()[-1] == "verdict: ok"


@pytest.mark.parametrize(
    ("status", "expected"), [("failed-verification", 3), ("failed", 4), ("unsupported", 4)]
)
def test_what_no_longer_works_has_its_exit_code(call, runs, status, expected):
    runs("base")
    runs("new", status=status, dataset="iris")
    code, out, _ = call("bench", "check", "base", "new")
    assert code == expected
    assert re.search(
        rf"^{status} in NEW only: fastlogit in softmax/iris/\S+: why \[not\]$", out, re.M
    )
    assert call("bench", "compare", "base", "new")[0] == 0


def test_json_is_one_object_on_stdout(call, runs):
    runs("base")
    runs("new", slower=1.5, seed=1)
    for command, expected in (("check", 1), ("compare", 0)):
        code, out, _ = call("bench", command, "base", "new", "--json")
        assert code == expected
        content = json.loads(out, parse_constant=pytest.fail)
        assert content["verdict"] == "regression"
        slower = [row for row in content["models"] if row["verdict"] == "slower"]
        assert [(row["model"], row["task"], row["cases"]) for row in slower] == [
            ("softmax", "train", 2)
        ]
        assert len(content["cases"]) == 10


def test_another_machine_is_shown_and_not_checked(call, runs):
    runs("base")
    runs("new", environment={"OPENBLAS_CORETYPE": "Haswell"}, packages={"numpy": "1"})
    code, out, err = call("bench", "check", "base", "new")
    assert (code, out) == (2, "")
    assert "different machines (OPENBLAS_CORETYPE: none in BASE, Haswell in NEW)" in err
    code, out, _ = call("bench", "compare", "base", "new")
    assert code == 0
    assert "different machine: OPENBLAS_CORETYPE: none in BASE, Haswell in NEW\n" in out
    assert "different: numpy: 2.4.6 in BASE, 1 in NEW\n" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("base", "other"), "'other' is no run"),
        (("base", "base", "--max-slowdown", "10"), "--max-slowdown is '10'; it must be a share"),
        (("base", "base", "--max-slowdown", "-1%"), "--max-slowdown is '-1%'; it must be a share"),
        (("base",), "Missing argument"),
    ],
    ids=["no such run", "no percent sign", "negative", "one run"],
)
def test_a_wrong_command_is_exit_code_2(call, runs, arguments, complaint):
    runs("base")
    code, out, err = call("bench", "check", *arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


def test_nothing_to_judge_is_exit_code_2(call, runs, tmp_path):
    runs("base")
    write_run(tmp_path / "results", run_id="new", implementations=("numpy",), **LIMITED)
    code, out, err = call("bench", "check", "base", "new")
    assert (code, out) == (2, "")
    assert "the runs have nothing in common to judge" in err


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("0.1", 0.1), (".5 %", 0.005), ("150%", 1.5), ("0", 0.0)]
)
def test_a_slowdown_is_a_share(text, share):
    assert parse_slowdown(text) == pytest.approx(share)
