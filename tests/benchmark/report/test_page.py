"""The page as text; what a browser makes of it is in test_browser.py."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from fastlogit.benchmark.report.page import write_page

pytest.importorskip("vl_convert", reason="vl-convert is not installed")
pytest.importorskip("jinja2", reason="jinja2 is not installed")

ADVICE = {
    "file": "my <b>file</b>.csv", "n_train": 90, "n_test": 30, "model": "LogisticRegression",
    "arguments": {"C": 1.0}, "folds": 5, "candidates": [], "classes": ["no", "</script>"],
    "class_rows": {"no": 80, "</script>": 40}, "imbalance": 2.0, "accuracy": 0.9,
    "accuracy_low": 0.74, "accuracy_high": 0.97, "baseline_accuracy": 0.67,
    "balanced_accuracy": 0.88, "roc_auc": 0.95, "confusion_matrix": [[18, 2], [1, 9]],
    "source": "import pandas as pd\nprint('<&>')\n", "pipeline": "",
}  # fmt: skip


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words, self.inside = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside and data.strip():
            self.words.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    def write(run):
        path = tmp_path_factory.mktemp("pages") / "report.html"
        write_page(run, path)
        page = path.read_text(encoding="utf-8")
        parser = Text()
        parser.feed(page)
        return page, parser.words

    return write


@pytest.fixture(scope="module")
def shown(stored, write):
    return write(stored(models=("softmax", "mlp-softmax")))


def test_it_is_one_file_of_less_than_a_megabyte_and_a_half(shown):
    page, _ = shown
    assert len(page.encode()) < 1_500_000
    outside = page.replace("http://www.w3.org/", "")
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=\"(?!data:)", outside)
    assert "@import" not in page


def test_the_questions_come_in_the_readers_order(shown):
    _, words = shown
    titles = [word for word in words if re.match(r"(Same \w+:|Case by case|All figures)", word)]
    assert [title.split(":")[0] for title in titles[:4]] == [
        "Same estimator", "Same steps", "Same loss", "Case by case",
    ]  # fmt: skip
    assert words.index("LogisticRegression") < 10


def test_the_first_answer_is_a_ratio_with_its_interval_and_both_times(shown):
    _, words = shown
    at = words.index("fit, repeated")
    head, interval, times = words[at + 1 : at + 4]
    assert re.fullmatch(r"▲ [45]\.\d× faster", head)
    assert re.fullmatch(r"95 % interval \d\.\d× to \d\.\d×", interval)
    assert re.fullmatch(r"[\d.]+ ms instead of [\d.]+ ms", times)


def test_every_timed_row_is_in_the_table(stored, shown):
    page, _ = shown
    run = stored(models=("softmax", "mlp-softmax"))
    assert page.count("<tr data-model") == run.summary["median_s"].notna().sum()


def test_rows_that_were_not_measured_are_left_out_and_failures_are_named(stored, write):
    def change(timing):
        status = {"numpy": "unsupported", "jax": "failed"}.get(timing.implementation)
        if status is None:
            return timing
        return dataclasses.replace(timing, time_s=None, status=status, error="<odd> reason")

    _, words = write(stored(models=("softmax",), questions=("same-steps",), change=change))
    assert "NumPy reference" not in words
    assert not any("unsupported" in word for word in words)
    (line,) = [word for word in words if "<odd> reason" in word]
    assert line.startswith("JAX: failed in 2 cases")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"load_start": [1.9, 1, 1]}, "The load average was 1.9 on 2 cores"),
        ({"load_start": [0.9, 1, 1]}, None),
        ({"load_start": None}, None),
    ],
    ids=["busy", "idle", "unknown"],
)
def test_a_busy_machine_is_named(stored, write, facts, said):
    _, words = write(stored(questions=("same-estimator",), facts=facts))
    found = [word for word in words if word.startswith("The load average")]
    assert bool(found) == bool(said)
    assert all(word.startswith(said) for word in found)


def test_advice_on_own_data_comes_first_and_is_escaped(stored, write):
    page, words = write(stored(questions=("same-estimator",), facts={"advice": ADVICE}))
    assert words.index("Your data") < words.index("LogisticRegression")
    assert "<b>file" not in page
    assert page.count("</script>") == 3
    matrix = words.index("Confusion matrix of the test rows")
    assert words[matrix + 1 : matrix + 10] == [
        "true \\ predicted", "no", "</script>", "no", "18", "2", "</script>", "1", "9",
    ]  # fmt: skip
    assert "import pandas as pd print('<&>')" in words


BASE = "classification-100x8x3"


@pytest.mark.parametrize(
    ("options", "captions"),
    [
        ({"threads": (1, 2)}, {"softmax, over threads"}),
        ({"datasets": (BASE, "classification-200x8x3")}, {"softmax, over rows"}),
        ({"datasets": (BASE, "classification-100x16x3")}, {"softmax, over features"}),
        ({}, set()),
    ],
    ids=["threads", "rows", "features", "none"],
)
def test_scaling_is_drawn_where_it_was_measured(stored, write, options, captions):
    page, words = write(stored(models=("softmax",), questions=("same-steps",), epochs=2, **options))
    assert {word for word in words if ", over " in word} == captions
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["specs"]) == 2 + len(captions)  # besides the ratios and the curves


def test_a_run_without_times_is_refused(stored, tmp_path):
    def fail(timing):
        return dataclasses.replace(timing, time_s=None, status="failed", error="it broke")

    with pytest.raises(ValueError, match="has no times"):
        write_page(stored(questions=("same-estimator",), change=fail), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
