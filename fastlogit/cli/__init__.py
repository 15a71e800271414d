"""The command line, one file per command.

Whatever takes time to import is imported inside the commands, after their first line of output.
"""

import codecs
import importlib.util
import io
import os
import sys
import traceback
from typing import Any

if any(importlib.util.find_spec(module) is None for module in ("typer", "rich", "pandas")):
    sys.stderr.write('The command line needs more packages: pip install "fastlogit[bench]"\n')
    raise SystemExit(2)

import typer

from fastlogit import verbosity
from fastlogit.cli.compare import CHECK_EXAMPLES, bench_check, bench_compare
from fastlogit.cli.ending import CLOSED_PIPE, CRASHED
from fastlogit.cli.info import show_info
from fastlogit.cli.listing import bench_list
from fastlogit.cli.report import bench_report
from fastlogit.cli.run import RUN_EXAMPLES, bench_run
from fastlogit.cli.show import bench_show
from fastlogit.cli.verify import VERIFY_EXAMPLES, bench_verify
from fastlogit.kernels.codegen import waiting

# rich_markup_mode=None: error messages in one line each, readable in a log.
_PLAIN: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None}
_FIRST_STEPS = """\b
Examples:
  fastlogit bench run --quick        how fast it is here, within a minute
  fastlogit bench run --data my.csv  the same for your own file
  fastlogit bench list               what can be compared
  fastlogit bench report latest      the latest run as a page
  fastlogit info                     this machine, as a run records it"""
# What an encoding lacks of the characters in use, in ASCII.
_ASCII = {"×": "x", "µ": "u", "–": "-", "—": "-", "…": "...", "±": "+-", "≥": ">=", "≤": "<="}

app = typer.Typer(
    help="Logistic and softmax models that train fast, and a benchmark that shows how fast.",
    epilog=_FIRST_STEPS, pretty_exceptions_enable=False, **_PLAIN,
)  # fmt: skip
bench = typer.Typer(help="Measure how fast fastlogit and others are here.", **_PLAIN)
app.add_typer(bench, name="bench", epilog=_FIRST_STEPS)
app.command("info", epilog="Example: fastlogit info")(show_info)
bench.command("run", epilog=RUN_EXAMPLES)(bench_run)
bench.command("list", epilog="Example: fastlogit bench list")(bench_list)
bench.command("verify", epilog=VERIFY_EXAMPLES)(bench_verify)
bench.command("show", epilog="Example: fastlogit bench show latest --all")(bench_show)
bench.command("compare", epilog="Example: fastlogit bench compare reference latest")(bench_compare)
bench.command("check", epilog=CHECK_EXAMPLES)(bench_check)
bench.command("report", epilog="Example: fastlogit bench report latest --open")(bench_report)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(f"fastlogit {version_of('fastlogit')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an exit code of 1 is `check`'s alone."""
    os.environ.setdefault(verbosity.VARIABLE, "0")  # no line of a fit's between a run's own
    os.environ[waiting.VARIABLE] = "wait"  # a run measures the kernels, whenever they are compiled
    codecs.register_error("fastlogit.ascii", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="fastlogit.ascii")
    try:
        try:
            app(prog_name="fastlogit")
        finally:
            sys.stdout.flush()  # Python's own, at the end, could only complain
    except (SystemExit, BrokenPipeError) as end:
        # Rich and Typer make an exit of 1 of a pipe that is closed.
        if not any(isinstance(error, BrokenPipeError) for error in (end, end.__context__)):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except Exception:  # whatever no command expected
        traceback.print_exc()
        sys.exit(CRASHED)


def _replace(error: Any) -> tuple[str, int]:
    """Spell in ASCII what an output's encoding lacks: no run ends for want of a character."""
    return _ASCII.get(error.object[error.start], "?"), error.start + 1
