"""The command line, a file a command.

Exit codes: 0 all is well, 2 the command was wrong, 3 a contender failed verification, 4 some cells
failed, 130 Ctrl-C (what was measured is kept).

Whatever takes time to import is imported inside the commands, after their first line of output.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

if any(importlib.util.find_spec(module) is None for module in ("typer", "rich", "pandas")):
    sys.stderr.write('The command line needs more packages: pip install "fastlogit[bench]"\n')
    raise SystemExit(2)

import typer

from fastlogit.cli.info import show_info
from fastlogit.cli.listing import bench_list
from fastlogit.cli.run import bench_run

__all__ = ["app", "main"]

# rich_markup_mode=None: error messages in one line each, readable in a log.
_PLAIN: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
}
app = typer.Typer(help="Train logistic and softmax models fast, and measure how fast.", **_PLAIN)
bench = typer.Typer(help="Compare implementations of the four models.", **_PLAIN)
app.add_typer(bench, name="bench")
app.command("info")(show_info)
bench.command("run")(bench_run)
bench.command("list")(bench_list)


def main() -> None:
    """Run the command line."""
    app(prog_name="fastlogit")
