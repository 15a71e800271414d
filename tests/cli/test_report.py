"""bench report: what it writes and says, and what it refuses."""

import json

import pytest
from synthetic_run import write_run

SMALL = {"models": ("softmax",), "sets": ("iris",), "impls": ("numpy", "numba"), "curves": False}


@pytest.fixture
def run(tmp_path):
    """Write a run where the command line looks for runs unasked."""
    return write_run(tmp_path / "results", **SMALL)


def test_the_page_is_written_beside_the_run_s_files(call, run):
    code, out, _ = call("bench", "report", "latest")
    assert code == 0
    assert out == f"results/{run.name}/report.html\n"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert run.name in page
    assert not list(run.glob("*.partial"))


@pytest.mark.parametrize("name", ["{id}", "{start}", "results/{id}", "{path}"])
def test_a_run_goes_by_id_by_its_beginning_and_by_path(call, run, name):
    code, _, _ = call("bench", "report", name.format(id=run.name, start=run.name[:12], path=run))
    assert code == 0
    assert (run / "report.html").exists()


def test_another_page_takes_the_place_of_the_first(call, run):
    (run / "report.html").write_text("old")
    assert call("bench", "report", "latest")[0] == 0
    assert (run / "report.html").read_text(encoding="utf-8") != "old"


def test_the_measurements_are_left_alone(call, run):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    call("bench", "report", "latest")
    assert {path.name: path.read_bytes() for path in run.iterdir()} | {
        "report.html": None
    } == before | {"report.html": None}


def test_out_says_where_runs_are(call, tmp_path):
    run = write_run(tmp_path / "elsewhere", **SMALL)
    code, out, _ = call("bench", "report", "latest", "--out", "elsewhere")
    assert (code, out) == (0, f"elsewhere/{run.name}/report.html\n")


def test_the_readme_and_its_picture(call, run, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# A\n<!-- table: x -->\n\n<!-- end of table -->\n", encoding="utf-8")
    code, out, _ = call("bench", "report", "latest", "--readme", "README.md")
    place = f"results/{run.name}"
    assert code == 0
    assert out.splitlines() == [f"{place}/report.html", f"{place}/speedup.svg", "README.md"]
    assert f"]({place}/speedup.svg)" in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2020",), "'2020' is no run"),
        (("latest", "--out", "nowhere"), "there is none"),
        (("latest", "--readme", "plain.md"), "needs one line '<!-- table"),
        (("latest", "--readme", "missing.md"), "cannot write missing.md: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(call, run, tmp_path, arguments, words):
    (tmp_path / "plain.md").write_text("nothing", encoding="utf-8")
    code, _, err = call("bench", "report", *arguments)
    assert code == 2
    assert words in err.splitlines()[-1]


def test_a_page_that_cannot_be_written(call, run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, out, err = call("bench", "report", "latest")
    assert (code, out) == (2, "")
    assert err.endswith("report.html: No space left on device\n")
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_without_the_extra_it_says_what_to_install(call, run, monkeypatch, module):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == module else find(name)
    )
    code, _, err = call("bench", "report", "latest")
    assert code == 2
    assert err == f'Error: a report needs {module}: pip install "fastlogit[bench]"\n'


def test_an_interrupted_run_has_a_page_too(call, tmp_path):
    run = write_run(tmp_path / "results", **SMALL, ends=KeyboardInterrupt())
    assert call("bench", "report", run.name)[0] == 0
    assert "did not come to its end" in (run / "report.html").read_text(encoding="utf-8")


def test_a_run_of_another_schema_is_refused(call, run):
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(facts | {"schema_version": 99}), encoding="utf-8")
    code, _, err = call("bench", "report", run.name)
    assert code == 2
    assert "schema version 99" in err


def test_help_names_what_a_run_may_be_called(call):
    code, out, _ = call("bench", "report", "--help")
    assert code == 0
    assert "latest" in out
    assert "--readme" in out
