"""Figures, names and failures in words."""

import dataclasses

import pytest
from synthetic_run import synthetic_run

from fastlogit.benchmark import text

nan = float("nan")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (4.56e-8, "46 ns"), (1e-6, "1.0 µs"), (0.0123, "12 ms"), (0.9994, "1.0 s"),
        (9.96, "10 s"), (99.4, "99 s"), (100, "2 min"), (5399, "90 min"), (5400, "1.5 h"),
    ],
)  # fmt: skip
def test_durations_have_a_readable_unit(seconds, words):
    assert text.format_duration(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(9, "a few seconds"), (61, "about 61 s")])
def test_estimates_are_words(seconds, words):
    assert text.format_estimate(seconds) == words


def test_one_is_singular():
    assert [text.pluralize(n, "case") for n in (0, 1, 1200)] == ["0 cases", "1 case", "1,200 cases"]
    assert text.pluralize(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ((3.3,), "3.3× faster"),
        ((0.1,), "10× slower"),
        ((1.04,), "1.04× faster"),
        ((0.9999,), "as fast"),
        ((1234.5,), "1,234× faster"),
        ((3.3, 2.9, 3.8), "3.3× faster (2.9× to 3.8×)"),
        ((0.5, 0.4, 0.8), "2.0× slower (1.2× to 2.5×)"),
        ((1.1, 0.9, 1.3), "inconclusive (1.1× slower to 1.3× faster)"),
        ((0.9, 0.5, 1.0), "inconclusive (2.0× slower to as fast)"),
        ((3.3, nan, nan), "3.3× faster"),
    ],
)
def test_a_ratio_is_above_1_with_a_word(figures, words):
    assert text.format_ratio(*figures) == words


def test_a_reason_is_named_once_or_case_by_case():
    def fail(timing):
        if timing.implementation != "jax":
            return timing
        return dataclasses.replace(timing, status="failed", time_s=None, error="no [bold]memory[/]")

    _, timings, _ = synthetic_run(questions=("same-steps",), models=("softmax",), change=fail)
    (one,) = text.failure_lines(timings)
    assert one.startswith("JAX: failed in 2 cases, such as softmax/iris/")
    assert one.endswith(": no [bold]memory[/]")
    each = list(text.failure_lines(timings, every=True))
    assert len(each) == 2
    assert each[1].startswith("JAX: failed in softmax/digits/")
