"""The command line as a whole: help, version, encodings, missing extras, how soon it answers."""

import importlib.metadata
import os
import subprocess
import sys

import pytest
from synthetic_run import write_run

from fastlogit import verbosity
from fastlogit.benchmark import session, storage
from fastlogit.benchmark.implementations import IMPLEMENTATIONS

MAIN = "from fastlogit.cli import main; main()"


def program(*arguments, cwd, code=MAIN, **environment):
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def test_version(call):
    assert call("--version") == (0, f"fastlogit {importlib.metadata.version('fastlogit')}\n", "")


@pytest.mark.parametrize(("given", "then"), [(None, "0"), ("1", "1")])
def test_fits_print_no_lines_unless_asked_to(call, monkeypatch, given, then):
    monkeypatch.delenv(verbosity.VARIABLE)
    if given is not None:
        monkeypatch.setenv(verbosity.VARIABLE, given)
    call("--version")
    assert os.environ[verbosity.VARIABLE] == then


@pytest.mark.parametrize("arguments", [(), ("bench",)], ids=["fastlogit", "bench"])
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
        (("bench", "verify"), "fastlogit bench verify -i all"),
        (("bench", "show"), "fastlogit bench show latest"),
        (("bench", "list"), "fastlogit bench list"),
        (("info",), "fastlogit info"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_help_ends_with_examples_that_fit_a_terminal(call, arguments, example):
    code, out, _ = call(*arguments, "--help")
    assert code == 0
    assert example in out.partition("Example")[2]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["run", "verify"])
def test_the_examples_of_the_help_are_commands(call, command, tmp_path, monkeypatch):
    for each in IMPLEMENTATIONS:
        monkeypatch.setattr(each, "missing", lambda: None)
        monkeypatch.setattr(each, "version", lambda: "1")
    monkeypatch.setattr(session, "verify", lambda *_, **__: [])
    rows = "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "my.csv").write_text("width,species\n" + rows)
    lines = call("bench", command, "--help")[1].splitlines()
    examples = [line.strip().split("  ")[0] for line in lines]
    examples = [example for example in examples if example.startswith("fastlogit bench")]
    assert len(examples) >= 2
    for example in examples:
        dry = ["--dry-run"] if command == "run" and "--dry-run" not in example else []
        code, _, err = call(*example.split()[1:], *dry)
        assert code == 0, (example, err)


def test_what_no_command_expected_is_no_exit_code_of_theirs(call, monkeypatch):
    def fault(*_):
        raise AttributeError("a fault of the program")

    monkeypatch.setattr(storage, "find_run", fault)
    code, out, err = call("bench", "show", "latest")
    assert (code, out) == (70, "")
    assert "Traceback" in err
    assert err.endswith("AttributeError: a fault of the program\n")


@pytest.mark.parametrize(
    ("encoding", "ratio", "micro"),
    [
        ("utf-8", "5.0× faster", " µs "), ("cp1252", "5.0× faster", " µs "),
        ("ascii", "5.0x faster", " us "),
    ],
)  # fmt: skip
def test_any_output_encoding_works(tmp_path, encoding, ratio, micro):
    write_run(tmp_path / "results", models=("softmax",), datasets=("iris",))
    arguments = ("bench", "show", "latest", "--all")
    done = program(*arguments, cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode(encoding)
    assert ratio in out
    assert micro in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "list"),  # more than a line, by Rich
        ("bench", "show", "latest", "--json"),  # by print, and flushed at the end
        ("bench", "--help"),  # by Typer
    ],
    ids=["rich", "print", "typer"],
)
def test_nobody_has_to_read_to_the_end(arguments, tmp_path):
    write_run(tmp_path / "results", models=("softmax",), datasets=("iris",))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", MAIN, *arguments],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 141
    assert "rror" not in done.stderr


@pytest.mark.parametrize("module", ["typer", "rich", "pandas"])
def test_without_the_extra_the_command_line_says_what_to_install(module, tmp_path):
    code = f"import sys; sys.modules[{module!r}] = None; import fastlogit.cli"
    done = program(cwd=tmp_path, code=code)
    assert done.returncode == 2
    assert done.stderr.decode().endswith('pip install "fastlogit[bench]"\n')
    assert b"Traceback" not in done.stderr


def test_the_first_line_comes_before_the_heavy_imports(tmp_path):
    code = (
        "import sys; from fastlogit import cli;"
        "print([m for m in ('fastlogit.models', 'pandas', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert program(cwd=tmp_path, code=code).stdout == b"[]\n"
