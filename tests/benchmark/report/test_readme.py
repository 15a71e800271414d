import dataclasses
import json
import re
from xml.etree import ElementTree

import pytest

from fastlogit.benchmark.report import readme
from fastlogit.benchmark.report.findings import Findings

parse = ElementTree.fromstring
SVG = "{http://www.w3.org/2000/svg}"
SMALL = {
    "models": ("softmax", "mlp-softmax"),
    "sets": ("iris", "digits"),
    "impls": ("numpy", "numba"),
    "curves": False,
}
MARKED = "before\n<!-- table: old -->\nold\n<!-- end of table -->\nafter\n"


def by_time(times):
    return lambda timing: dataclasses.replace(timing, time_s=times[timing.impl])


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(MARKED, encoding="utf-8")
    return path


def tables_of(text):
    """Give the tables of Markdown as lists of rows."""
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


def test_tables_by_hand(stored, page):
    run = stored(**SMALL, change=by_time({"numpy": 3.0, "numba": 1.5}))
    picture = readme.write(page, run)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n<!-- table: {run.directory.name} -->\n![numba 2.00× as fast")
    assert text.endswith("\n<!-- end of table -->\nafter\n")
    assert "(between 2.00× and 2.00×)" in text
    records, times = tables_of(text)
    assert records == [
        ["numba, times as fast as", "softmax", "mlp-softmax", "cells faster, even, slower"],
        ["---", "---:", "---:", "---:"],
        ["numpy", "2.00×", "2.00×", "4, 0, 0"],
    ]
    assert times[0] == ["ns a row, and times numpy's speed", "softmax", "mlp-softmax"]
    samples = dict(zip(run.timings["cell_id"], run.timings["samples"], strict=True))
    nanoseconds = {cell.split("/")[1]: 1.5e9 / n for cell, n in samples.items() if cell[0] == "s"}
    assert times[2][:2] == ["iris", f"{nanoseconds['iris']:.0f} ns, 2.0×"]
    assert times[3][:2] == ["digits", f"{nanoseconds['digits']:.0f} ns, 2.0×"]
    assert picture == run.directory / "speedup.svg"


def test_what_a_time_to_the_target_holds_is_said_below(stored, page):
    impls = ("numpy", "numba", "scikit-learn")
    readme.write(page, stored(**SMALL | {"impls": impls, "curves": True}))
    text = page.read_text(encoding="utf-8")
    assert "| scikit-learn, to the target loss |" in text
    assert "\n\nTo the target loss: for numba the time of fastlogit.train" in text
    assert "even within 10 %" in text
    readme.write(page, stored(**SMALL))
    assert "To the target loss" not in page.read_text(encoding="utf-8")


def test_several_batch_sizes_and_rivals(stored, page):
    run = stored(
        **SMALL | {"impls": ("numpy", "numba", "jax", "scikit-learn"), "batch_sizes": (8, 32)},
        change=by_time({"numpy": 3.0, "numba": 1.5, "jax": 0.75, "scikit-learn": 1.0}),
    )
    readme.write(page, run)
    records, times = tables_of(page.read_text(encoding="utf-8"))
    assert [row[:3] for row in records[2:]] == [
        ["numpy", "8", "2.00×"],
        ["jax", "8", "0.500×"],
        ["numpy", "32", "2.00×"],
        ["jax", "32", "0.500×"],
    ]
    assert len(records) == 2 + 4
    assert records[3][-1] == "0, 0, 4"  # losses are counted like wins
    assert times[0][0].endswith("batches of 32 rows")
    assert len(times) == 2 + 2


def test_the_picture_holds_the_numbers_it_shows(stored, page):
    run = stored(**SMALL, change=by_time({"numpy": 3.0, "numba": 1.5}))
    root = parse(readme.write(page, run).read_text(encoding="utf-8"))
    values = json.loads(root.find(f"{SVG}metadata").text)
    assert values == [
        {"model": model, "impl": "numba", "mean": 2.0, "low": 2.0, "high": 2.0, "data_sets": 2}
        for model in SMALL["models"]
    ]
    shown = [element.text for element in root.iter(f"{SVG}text")]
    assert {"softmax", "mlp-softmax", "numba", "times as fast as numpy"} <= set(shown)
    assert "numba 2.00× as fast as numpy" in root.find(f"{SVG}desc").text


def test_writing_again_changes_nothing(stored, page):
    run = stored(**SMALL)
    picture = readme.write(page, run)
    before = page.read_bytes(), picture.read_bytes()
    readme.write(page, run)
    assert (page.read_bytes(), picture.read_bytes()) == before


def test_a_name_with_a_bar_keeps_the_table_whole(stored, page):
    readme.write(page, stored(**SMALL, rename=lambda name: f"a|{name}"))
    assert "| a\\|iris |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["nothing", MARKED + MARKED, "<!-- table: x -->\n"])
def test_a_readme_without_the_marks_is_refused(stored, page, text):
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="needs one line '<!-- table"):
        readme.write(page, stored(**SMALL))
    assert page.read_text(encoding="utf-8") == text


def test_a_run_elsewhere_is_refused(stored, tmp_path):
    page = tmp_path / "docs" / "README.md"
    page.parent.mkdir()
    page.write_text(MARKED, encoding="utf-8")
    with pytest.raises(ValueError, match="can only show a run under"):
        readme.write(page, stored(**SMALL))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ends": KeyboardInterrupt()}, "needs a complete run"),
        ({"impls": ("numba",)}, "has no times of numba beside numpy"),
        ({"impls": ("numpy", "jax")}, "has no times of numba beside numpy"),
    ],
)
def test_a_run_that_cannot_be_quoted_is_refused(stored, page, options, words):
    run = stored(**SMALL | options)
    with pytest.raises(ValueError, match=words):
        readme.write(page, run)
    assert page.read_text(encoding="utf-8") == MARKED
    assert not (run.directory / "speedup.svg").exists()


def test_a_write_that_fails_leaves_the_readme_as_it_was(stored, page, monkeypatch):
    run = stored(**SMALL)
    monkeypatch.setattr(readme, "picture", lambda findings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        readme.write(page, run)
    assert page.read_text(encoding="utf-8") == MARKED


def test_another_algorithm_has_one_row_over_all_batch_sizes(stored):
    impls = ("numpy", "numba", "scikit-learn")
    run = Findings(stored(**SMALL | {"impls": impls, "curves": True, "batch_sizes": (8, 32)}))
    records, _ = tables_of(readme.block(run, "results"))
    assert [row[:2] for row in records[2:]] == [
        ["numpy", "8"],
        ["numpy", "32"],
        ["scikit-learn, to the target loss", "all"],
    ]
    assert records[-1][-1] == "8, 0, 0"


def test_missing_targets_count_for_the_one_that_got_there(stored):
    run = Findings(stored(**SMALL | {"impls": ("numpy", "numba", "scikit-learn")}))
    run.cells["time_to_target_s"] = [1.0 if impl == "numba" else None for impl in run.cells["impl"]]
    records, _ = tables_of(readme.block(run, "results"))
    assert records[-1] == ["scikit-learn, to the target loss", "", "", "4, 0, 0"]
