"""The command line, a file a command.

Exit codes: 0 all is well, 1 `check` found a regression, 2 the command was wrong, 3 a contender
failed verification, 4 some cells failed or could not be written, 70 the program itself is at fault,
124 a cell took longer than allowed, 130 Ctrl-C (what was measured is kept), 141 nobody reads the
output any more. Of several the worst counts: 130, 3, 124, 4, in this order.

Whatever takes time to import is imported inside the commands, after their first line of output.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from typing import Any

if any(importlib.util.find_spec(module) is None for module in ("typer", "rich", "pandas")):
    sys.stderr.write('The command line needs more packages: pip install "fastlogit[bench]"\n')
    raise SystemExit(2)

import typer

from fastlogit.cli.compare import CHECK_EXAMPLES, COMPARE_EXAMPLES, bench_check, bench_compare
from fastlogit.cli.ending import CRASHED, NOT_READ
from fastlogit.cli.info import show_info
from fastlogit.cli.listing import bench_list
from fastlogit.cli.report import REPORT_EXAMPLES, bench_report
from fastlogit.cli.run import RUN_EXAMPLES, bench_run
from fastlogit.cli.show import SHOW_EXAMPLES, bench_show
from fastlogit.cli.verify import VERIFY_EXAMPLES, bench_verify

__all__ = ["app", "main"]

# rich_markup_mode=None: error messages in one line each, readable in a log.
_PLAIN: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
_FIRST_STEPS = """\b
Examples:
  fastlogit bench list             what can be compared here
  fastlogit bench run --quick      compare it, within a minute
  fastlogit bench run --help       how to choose what is compared
  fastlogit info                   this machine, as a run would record it"""

app = typer.Typer(
    help="Train logistic and softmax models fast, and measure how fast.",
    epilog=_FIRST_STEPS,
    **_PLAIN,
)
bench = typer.Typer(help="Compare implementations of the four models.", **_PLAIN)
app.add_typer(bench, name="bench", epilog=_FIRST_STEPS)
app.command("info", epilog="Example: fastlogit info")(show_info)
bench.command("run", epilog=RUN_EXAMPLES)(bench_run)
bench.command("list", epilog="Example: fastlogit bench list")(bench_list)
bench.command("verify", epilog=VERIFY_EXAMPLES)(bench_verify)
bench.command("compare", epilog=COMPARE_EXAMPLES)(bench_compare)
bench.command("check", epilog=CHECK_EXAMPLES)(bench_check)
bench.command("show", epilog=SHOW_EXAMPLES)(bench_show)
bench.command("report", epilog=REPORT_EXAMPLES)(bench_report)


def main() -> None:
    """Run the command line; an exit code of 1 is `check`'s alone."""
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
        sys.exit(NOT_READ)
    except Exception:  # whatever no command expected
        traceback.print_exc()
        sys.exit(CRASHED)
