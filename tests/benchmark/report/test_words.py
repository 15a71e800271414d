import dataclasses

import numpy as np
import pytest

from fastlogit.benchmark.report import words
from fastlogit.benchmark.report.findings import Findings, Record

SMALL = {"models": ("softmax",), "sets": ("iris",), "impls": ("numpy", "numba")}


def record(**other):
    counts = {"wins": 3, "losses": 1, "even": 0, "unjudged": 0}
    return Record("jax", "training", **{"ratio": 2.0, "low": 0.5, "high": 4.0} | counts | other)


def lines(**other):
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in words.record_lines(record(**other))]


def test_a_record_in_words():
    assert lines() == ["▲ 3 faster, = 0 even, ▼ 1 slower of 4 cells", "between 0.500× and 4.00×"]


def test_what_could_not_be_judged_is_said():
    assert "2 not judged: one repeat has no interval" in lines(unjudged=2)
    missed = lines(wins=0, losses=0, low=np.nan, high=np.nan, rival_missed=2, subject_missed=1)
    assert missed == ["jax missed the target in 2 more", "numba missed the target in 1 more"]


def test_the_setting(findings):
    text = words.setting(findings(**SMALL | {"batch_sizes": (8, 32, 256)}))
    assert text == (
        "1 model on 1 data set, batches of 8, 32 and 256 rows; sgd, float32, one thread; "
        "5 timed repeats each; A processor."
    )
    text = words.setting(findings(**SMALL | {"models": ("mlp-softmax",), "repeats": 1}))
    assert "batches of 32 rows, float32, one thread, 64 hidden units; 1 timed repeat each" in text


@pytest.mark.parametrize(
    ("impls", "told"),
    [
        (("numpy", "numba", "scikit-learn"), "5 timed repeats each (3 of other algorithms);"),
        (("numpy", "numba"), "5 timed repeats each;"),
        (("scikit-learn",), "; 3 timed repeats each;"),
    ],
)
def test_fewer_repeats_of_other_algorithms_are_said(stored, impls, told):
    run = stored(**SMALL | {"impls": impls, "curves": False})
    cut = (run.timings["division"] == "open") & (run.timings["repeat"] > 2)
    run = dataclasses.replace(run, timings=run.timings[~cut])
    assert told in words.setting(Findings(run))


def test_the_longest_list_of_losses_is_cut_and_says_so(findings):
    run = findings(
        models=("softmax", "logistic"),
        sets=("iris", "wine", "digits", "moons"),
        batch_sizes=(8, 32),
        impls=("numpy", "numba"),
        change=lambda t: dataclasses.replace(t, time_s=2.0 if t.impl == "numba" else 1.0),
    )
    told = words.losses(run)
    assert len(told) == 13
    assert told[-1] == "and 4 more; the table of all results has the times of every cell"


def test_the_machine_lists_what_was_recorded_and_nothing_else(findings):
    known = dict(words.machine(findings(**SMALL)))
    assert known["Processor"] == "A processor, znver5"
    assert known["Memory"] == "16.0 GiB"
    assert known["Load at start and end"] == "0.20 and 0.90"
    assert known["Limits on 1 thread"].startswith("product 228.0 GFLOP/s in float32")
    bare = dict.fromkeys(
        ("cpu", "memory_bytes", "environment", "load_start", "load_end", "git", "packages")
    )
    unknown = dict(words.machine(findings(**SMALL, facts=bare | {"calibration": []})))
    assert set(unknown) == {"Run", "Time"}


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["fastlogit", "bench", "run"], "fastlogit bench run"),
        (["fastlogit", "bench", "run", "--data", "my file.csv"], "--data 'my file.csv'"),
    ],
)
def test_the_command_can_be_pasted_into_a_shell(findings, command, line):
    assert line in words.steps(findings(**SMALL, facts={"command": command}))


@pytest.mark.parametrize("out", [["--out", "my runs"], ["--out=my runs"]])
def test_the_page_is_drawn_from_where_the_run_is_made(findings, out):
    command = ["fastlogit", "bench", "run", *out]
    lines = words.steps(findings(**SMALL, facts={"command": command})).splitlines()
    assert lines[-1] == "fastlogit bench report latest --out 'my runs'"
    plain = words.steps(findings(**SMALL)).splitlines()
    assert plain[-1] == "fastlogit bench report latest"


def test_only_what_took_part_is_installed(findings):
    assert 'pip install ".[bench]"' in words.steps(findings(**SMALL))
    with_peers = findings(**SMALL | {"impls": ("numpy", "jax")})
    assert 'pip install ".[bench,peers]"' in words.steps(with_peers)
