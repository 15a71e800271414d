"""README's figures and picture."""

import re
from pathlib import Path

import pytest

from fastlogit.benchmark.report import readme

pytest.importorskip("vl_convert", reason="vl-convert is not installed")

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "results" / "reference"
PAGE = "# Name\n\n<!-- table: results/reference -->\nold\n<!-- end of table -->\n\nmore\n"


@pytest.fixture(scope="module")
def run(stored, timed):
    times = {"fastlogit": 1.0, "scikit-learn": 3.3, ("scikit-learn", "predict_proba"): 0.5}
    return stored(models=("softmax", "mlp-softmax"), change=timed(times), noise=0.0)


def test_the_block_is_replaced_and_nothing_else(run):
    page = readme.update(run, PAGE)
    assert page.startswith("# Name\n\n<!-- table: results/reference -->\n![")
    assert page.endswith(".\n<!-- end of table -->\n\nmore\n")
    assert "old" not in page
    assert readme.update(run, page) == page


def test_the_same_estimator_comes_first_wins_and_losses_alike(run):
    lines = readme.update(run, PAGE).splitlines()
    rows = [line for line in lines if line.startswith("| LogisticRegression")]
    figures = "| 1.0 s | 3.3 s | 3.3× faster (3.3× to 3.3×) |"
    assert rows[0] == f"| LogisticRegression: fit, repeated {figures}"
    assert rows[1].endswith("| 1.0 s | 500 ms | 2.0× slower (2.0× to 2.0×) |")
    steps = next(k for k, line in enumerate(lines) if line.startswith("Same mini-batch steps"))
    assert steps > lines.index(rows[0])
    assert "than JAX" in lines[steps]


def test_an_address_is_kept(run):
    page = readme.update(run, PAGE.replace("results/reference", "https://example.org/r"))
    assert "](https://example.org/r/speedup.svg)" in page


@pytest.mark.parametrize("page", ["# Name\n", PAGE + PAGE], ids=["none", "two"])
def test_the_marks_must_be_there_once(run, page):
    with pytest.raises(ValueError, match="one pair of lines '<!-- table"):
        readme.update(run, page)


def test_a_run_without_the_same_estimator_is_refused(stored):
    with pytest.raises(ValueError, match="no complete run of fastlogit against scikit-learn"):
        readme.update(stored(questions=("same-steps",), models=("softmax",)), PAGE)


def test_the_picture_shows_both_estimators_with_their_figures(run):
    svg = readme.picture(run)
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"LogisticRegression.fit", "MLPClassifier.predict_proba", "same"} <= set(words)
    assert words.count("3.3× faster") == 2
    assert words.count("2.0× slower") == 2


def test_the_picture_follows_the_theme(run):
    svg = readme.picture(run)
    assert "prefers-color-scheme:dark" in svg
    used = set(re.findall(r"var\((--\w+)\)", svg))
    assert {"--ground", "--ink", "--s0"} <= used
    assert used <= set(re.findall(r"(--\w+):#", svg))
    assert not re.search(r'(fill|stroke)="(#|black|white)', svg)
