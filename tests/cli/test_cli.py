"""The command line as a whole: help, missing extras, and how soon it answers."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [(), ("bench",)])
def test_without_a_command_there_is_help(call, arguments):
    code, out, err = call(*arguments)
    assert code in (0, 2)
    assert "Usage: fastlogit" in out + err


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
