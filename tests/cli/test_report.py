"""``fastlogit bench report``."""

import functools
import webbrowser

import pytest
from synthetic_run import write_run
from typer.testing import CliRunner

from fastlogit import cli

vl_convert = pytest.importorskip("vl_convert", reason="vl-convert is not installed")
BUNDLE = functools.cache(vl_convert.javascript_bundle)  # takes seconds


@pytest.fixture
def report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vl_convert, "javascript_bundle", BUNDLE)
    return lambda *arguments: CliRunner().invoke(cli.app, ["bench", "report", *arguments])


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "results", models=("softmax",), datasets=("iris",))


def test_the_page_lies_beside_the_run(report, run):
    result = report("latest")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"results/{run.name}/report.html\n"
    assert run.name in (run / "report.html").read_text(encoding="utf-8")


def test_runs_are_looked_for_in_out(report, run):
    run.parent.rename(run.parent.with_name("elsewhere"))
    assert report(run.name[:12], "--out", "elsewhere").exit_code == 0


def test_open_shows_it(report, run, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert report("latest", "--open").exit_code == 0
    assert opened == [(run / "report.html").resolve().as_uri()]


def test_readme_is_brought_up_to_date(report, run, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- table: results/x -->\n<!-- end of table -->\nz\n", encoding="utf-8")
    assert report("latest", "--readme", "README.md").exit_code == 0
    text = readme.read_text(encoding="utf-8")
    assert "![fastlogit against scikit-learn](results/x/speedup.svg)" in text
    assert (run / "speedup.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_readme_without_marks_is_refused_and_left(report, run, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("mine\n", encoding="utf-8")
    result = report("latest", "--readme", "README.md")
    assert result.exit_code == 2
    assert "<!-- end of table -->" in result.stderr
    assert readme.read_text(encoding="utf-8") == "mine\n"
    assert not (run / "speedup.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("nothing",), "nothing"), (("latest", "--readme", "none.md"), "none.md")],
    ids=["run", "readme"],
)
def test_what_is_not_there_is_named(report, run, arguments, said):
    result = report(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_package_is_named_with_its_command(report, run, monkeypatch):
    found = cli.report.importlib.util.find_spec
    monkeypatch.setattr(
        cli.report.importlib.util,
        "find_spec",
        lambda name: None if name == "vl_convert" else found(name),
    )
    result = report("latest")
    assert result.exit_code == 2
    assert 'pip install "fastlogit[report]"' in result.stderr
