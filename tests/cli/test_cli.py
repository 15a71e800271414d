"""The command line as a whole: help, missing extras, and how soon it answers."""

import os
import subprocess
import sys

import pytest
from synthetic_run import write_run

from fastlogit.benchmark import agreement, runs
from fastlogit.benchmark.contenders import CONTENDERS


@pytest.mark.parametrize("arguments", [(), ("bench",)])
def test_without_a_command_there_is_help(call, arguments):
    code, out, err = call(*arguments)
    assert code in (0, 2)
    assert "Usage: fastlogit" in out + err


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        ((), "fastlogit bench run --quick"),
        (("bench",), "fastlogit bench list"),
        (("bench", "run"), "fastlogit bench run --data my.csv --target species"),
        (("bench", "verify"), "fastlogit bench verify --quick -i all"),
        (("bench", "list"), "fastlogit bench list"),
        (("info",), "fastlogit info"),
    ],
)
def test_help_ends_with_examples_that_fit_a_terminal(call, arguments, example):
    code, out, _ = call(*arguments, "--help")
    assert code == 0
    assert "Example" in out
    examples = out.partition("Example")[2]
    assert example in examples
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["run", "verify"])
def test_the_examples_of_the_help_are_commands(call, command, tmp_path, monkeypatch):
    monkeypatch.setattr(CONTENDERS["torch"], "missing", lambda: None)
    monkeypatch.setattr(agreement, "agreements", lambda *_, **__: [])
    rows = "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "my.csv").write_text("width,species\n" + rows)
    lines = call("bench", command, "--help")[1].splitlines()
    examples = [line.split("   ")[0] for line in map(str.strip, lines)]
    examples = [example for example in examples if example.startswith("fastlogit bench")]
    assert len(examples) >= 3
    for example in examples:
        dry = ["--dry-run"] if command == "run" and "--dry-run" not in example else []
        code, _, err = call(*example.split()[1:], *dry)
        assert code == 0, (example, err)


def test_what_no_command_expected_is_no_exit_code_of_theirs(call, monkeypatch):
    def fault(*_):
        raise AttributeError("a fault of the program")

    monkeypatch.setattr(runs, "load_run", fault)
    code, out, err = call("bench", "check", "before", "after")
    assert (code, out) == (70, "")
    assert "Traceback" in err
    assert err.endswith("AttributeError: a fault of the program\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "list"),  # more than a line, by Rich
        ("bench", "show", "latest", "--json"),  # by print, and flushed at the end
        ("bench", "--help"),  # by Typer
    ],
)
def test_nobody_has_to_read_to_the_end(arguments, tmp_path):
    write_run(tmp_path / "results", models=("softmax",), sets=("iris",))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fastlogit.cli", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    os.close(writing)
    assert done.returncode == 141
    assert "rror" not in done.stderr


def without(module, *arguments):
    """Run the command line in a process that cannot import a module."""
    program = f"import sys; sys.modules[{module!r}] = None; from fastlogit.cli import main; main()"
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", ["typer", "rich", "pandas"])
def test_without_the_extra_the_command_line_says_what_to_install(module):
    done = without(module, "bench", "list")
    assert done.returncode == 2
    assert done.stderr.endswith('pip install "fastlogit[bench]"\n')
    assert "Traceback" not in done.stderr


def test_the_first_line_comes_before_the_heavy_imports(tmp_path):
    program = (
        "import sys; from fastlogit import cli; import rich.console;"
        "heavy = [m for m in ('numba', 'pandas', 'sklearn', 'scipy') if m in sys.modules];"
        "print(heavy)"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n"
