"""The page as text: valid, whole, escaped, for every kind of run."""

import dataclasses
import itertools
import re
from functools import cache

import html5lib
import pytest
from synthetic_run import write_run

from fastlogit.benchmark.report.page import render
from fastlogit.benchmark.runs import load_run
from fastlogit.datasets import TOY_SETS

SMALL = {"models": ("softmax",), "sets": ("iris", "digits")}
HOSTILE = "<script>alert('x')</script> & \"more\" $x$ {{ 1 + 1 }}"


def fails(status, impl="jax"):
    def change(timing):
        if timing.impl != impl:
            return timing
        return dataclasses.replace(timing, time_s=None, status=status, error=HOSTILE)

    return change


# What a run may look like, by what is special about it.
RUNS = {
    "usual": {"models": ("softmax", "mlp-logistic"), "batch_sizes": (8, 32)},
    "without curves": {"curves": False},
    "without numpy": {"impls": ("numba", "jax")},
    "a single contender": {"impls": ("numba",)},
    "numpy alone": {"impls": ("numpy",)},
    "only another algorithm": {"impls": ("scikit-learn",)},
    "one cell": {"models": ("softmax",), "sets": ("iris",)},
    "one repeat": {"repeats": 1},
    "failed": {"change": fails("failed")},
    "everything failed": {"impls": ("jax",), "change": fails("failed")},
    "failed verification": {"change": fails("failed-verification", "numba")},
    "unsupported": {"change": fails("unsupported", "scikit-learn")},
    "interrupted": {"ends": KeyboardInterrupt()},
    "broken": {"ends": RuntimeError()},
    "own data": {"rename": lambda name: f"{HOSTILE} {name}"},
    "little known of the machine": {
        "facts": {"cpu": {}, "calibration": [], "git": {}, "load_start": None, "packages": {}}
    },
    "a machine full of markup": {
        "facts": {"environment": {HOSTILE: HOSTILE}, "command": [HOSTILE]}
    },
}


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Give the page of a kind of run, made once."""

    @cache
    def make(kind):
        directory = write_run(tmp_path_factory.mktemp("runs"), **SMALL | RUNS[kind])
        return render(load_run(str(directory)), [HOSTILE])

    return make


@pytest.fixture(scope="module")
def tree_of(page_of):
    """Give the parsed page of a kind of run, made once."""
    return cache(lambda kind: elements(page_of(kind)))


@pytest.fixture(params=RUNS, scope="module")
def kind(request):
    return request.param


@pytest.fixture
def page(page_of, kind):
    return page_of(kind)


@pytest.fixture
def tree(tree_of, kind):
    return tree_of(kind)


def elements(page):
    """Parse it, and raise on any error of syntax."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def test_it_is_valid_html_that_needs_nothing_else(page, tree):
    assert page.startswith("<!DOCTYPE html>")
    assert tree.get("lang") == "en"
    assert tree.find("head/title").text
    viewport = [meta for meta in tree.iter("meta") if meta.get("name") == "viewport"]
    assert viewport[0].get("content") == "width=device-width, initial-scale=1"
    links = [
        value
        for element in tree.iter()
        for name, value in element.attrib.items()
        if str(name).split("}")[-1] in ("href", "src", "action", "srcset")
    ]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert len(page.encode()) < 1_000_000


def test_ids_are_unique_and_everything_referred_to_is_there(page, tree):
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    referred = {
        name for element in tree.iter() for name in (element.get("aria-labelledby") or "").split()
    }
    referred |= set(re.findall(r"(?:href=\"|url\()#([^\")]+)", page))
    assert referred <= set(ids)


def test_headings_are_in_order(tree):
    levels = [int(e.tag[1]) for e in tree.iter() if re.fullmatch(r"h[1-6]", str(e.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_figure_says_what_it_shows(tree):
    space = "{http://www.w3.org/2000/svg}"
    for svg in tree.iter(f"{space}svg"):
        if svg.get("aria-hidden") == "true":
            continue
        assert svg.get("role") == "img"
        title, finding = (
            svg.find(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc")
        )
        assert title.text
        assert re.search(r"\d", finding.text)  # a figure, not only a subject
        assert "nan" not in finding.text


def test_text_of_the_run_is_escaped(page, tree):
    assert page.count("<script>") == 1
    assert "<script>alert" not in page
    assert HOSTILE in "".join(tree.itertext())


def test_no_number_is_missing_in_words(tree):
    text = "".join(tree.find("body").itertext())
    assert not re.search(r"\b(nan|None|NaN|inf|Timestamp)\b", text)


def words_in(tree):
    return " ".join("".join(tree.find("body").itertext()).split())


def text_of(run):
    return words_in(elements(render(run)))


def test_the_headline_is_the_run_s(stored):
    change = {"numpy": 3.0, "numba": 2.0, "jax": 6.0}
    run = stored(
        **SMALL | {"impls": ("numpy", "numba", "jax")},
        change=lambda t: dataclasses.replace(t, time_s=change[t.impl]),
    )
    text = text_of(run).replace("\xa0", " ")
    assert "numba trains 1.50× as fast as numpy" in text
    assert "against jax 3.00× ▲ 2 faster, = 0 even, ▼ 0 slower of 2 cells" in text.replace(
        "\xa0", " "
    )
    assert "In no cell of this run." in text


def test_times_to_the_target_are_counted_and_what_they_hold_is_said(stored):
    run = stored(**SMALL | {"impls": ("numpy", "numba", "scikit-learn"), "curves": True})
    target = next(iter(run.facts["target_loss"].values()))
    # Both there at once: even, neither sooner nor later.
    run.curves["elapsed_s"] = 1.0
    run.curves["train_loss"] = target
    tree = elements(render(run))
    (table,) = (
        t for t in tree.iter("table") if "by the time to the same loss" in t.findtext("caption")
    )
    head, row = ([cell.text for cell in line] for line in table.iter("tr"))
    assert head[2:5] == ["▲ sooner", "= even", "▼ later"]
    assert row == [
        "scikit-learn",
        "1.00× as soon",
        "0",
        str(run.timings["cell_id"].nunique()),
        *"000",
    ]
    text = text_of(run)
    assert "that of a whole fit of their estimator, each with its own checks" in text


def test_losses_are_told(stored):
    change = {"numpy": 1.0, "numba": 2.0}
    run = stored(
        **SMALL | {"impls": ("numpy", "numba")},
        change=lambda t: dataclasses.replace(t, time_s=change[t.impl]),
    )
    text = text_of(run)
    assert "numba trains at 0.50 of the speed of numpy" in text
    assert "softmax on iris: 0.50 of the speed of numpy (0.50 to 0.50)" in text


@pytest.mark.parametrize(
    ("special", "words"),
    [
        ("interrupted", "did not come to its end (it is marked 'interrupted')"),
        ("broken", "did not come to its end (it is marked 'failed')"),
        ("failed", "Not everything could be measured: 2 failed"),
        ("failed verification", "Not everything could be measured: 2 failed-verification"),
        ("without numpy", "numpy took no part"),
        ("one repeat", "timed only once"),
        ("everything failed", "No cell was measured"),
        ("a single contender", "numba: times without a rival"),
    ],
)
def test_what_is_special_is_said(tree_of, special, words):
    assert words in words_in(tree_of(special))


def test_what_is_not_measured_is_told_once_for_each_reason(tree_of):
    text = words_in(tree_of("unsupported"))
    assert "Not everything could be measured" not in text  # nothing went wrong
    place = "softmax/iris/sgd/b32/float32/t1/"
    assert text.count("scikit-learn in softmax/") == 1
    assert f"scikit-learn in {place}" in text
    assert f"and 1 more: unsupported: {HOSTILE}" in text


def test_a_busy_machine_and_a_changed_checkout_are_said(stored, tree_of):
    facts = {"load_start": [1.5, 1, 1], "git": {"commit": "abc", "dirty": True}}
    text = text_of(stored(**SMALL, facts=facts))
    assert "a load of 1.50 on 2 cores" in text
    assert "changes that are in no commit" in text
    quiet = words_in(tree_of("usual"))
    assert "busy" not in quiet
    assert "in no commit" not in quiet


def test_sections_without_figures_are_left_out(tree_of):
    assert "Loss against time" in words_in(tree_of("usual"))
    assert "Loss against time" not in words_in(tree_of("without curves"))
    alone = words_in(tree_of("a single contender"))
    assert "Speed-up over" not in alone
    assert "All results" in alone


def test_the_commands_to_repeat_it_are_there(tree_of):
    text = words_in(tree_of("usual"))
    assert "git checkout 0123456789abcdef0123456789abcdef01234567" in text
    assert 'pip install ".[bench,peers]"' in text
    assert "fastlogit bench run -i all" in text


@pytest.mark.slow
def test_the_whole_default_grid_with_every_contender_stays_small(stored):
    page = render(stored(sets=tuple(TOY_SETS), batch_sizes=(8, 32, 256)))
    assert len(page.encode()) < 1_000_000


def test_a_run_without_rows_is_refused(stored):
    with pytest.raises(ValueError, match="has no rows: nothing was measured"):
        render(stored(most=0, curves=False))


def test_the_same_run_gives_the_same_page(stored):
    run = stored(**RUNS["one cell"])
    assert render(run) == render(run)
