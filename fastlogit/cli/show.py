"""``fastlogit bench show``: a stored run's table and verdicts, as at the end of the run itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fastlogit.cli import options
from fastlogit.cli.ending import refuse

if TYPE_CHECKING:
    from fastlogit.benchmark.runs import StoredRun
    from fastlogit.benchmark.session import Run

__all__ = ["SHOW_EXAMPLES", "bench_show", "print_run"]

SHOW_EXAMPLES = """\b
Examples:
  fastlogit bench show latest             the table of the youngest run
  fastlogit bench show 20261123-13        of the only run whose id begins so
  fastlogit bench show results/reference --json"""


def bench_show(
    run: options.Run,
    out: options.Out = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON instead of a table.")
    ] = False,
) -> None:
    """Show a run's table and verdicts, with absolute times and ratios, wins and losses marked."""
    say = Console(stderr=True, highlight=False)
    say.print(f"fastlogit bench: reading {run}", markup=False, soft_wrap=True)
    from fastlogit.benchmark.runs import load_run

    try:
        stored = load_run(run, out)
    except ValueError as error:
        refuse(say, str(error))
    if as_json:
        print(stored.summary.to_json(orient="records", indent=2))
        return
    status = stored.facts.get("status")
    if status != "complete":
        say.print(f"this run did not come to its end (it is {status}); what it measured:")
    print_run(stored)


def print_run(run: Run | StoredRun) -> None:
    """Print the table of a run, the verdicts, what failed and why, and the advice."""
    from fastlogit.benchmark import table
    from fastlogit.benchmark.advice import advice

    out = Console(highlight=False)
    summary = run.summary
    if summary.empty:
        out.print("nothing was measured")
        return
    comparison = table.comparison(summary, table.tiny_sets(run.timings))
    wide = out.options.update(width=1000)
    # A line that the terminal breaks is better than figures cut short.
    out.width = max(out.width, out.measure(comparison, options=wide).maximum)
    out.print(comparison)
    for line in table.verdicts(summary, run.timings):
        out.print(line, markup=False, soft_wrap=True)
    bad = run.timings[run.timings["status"] != "ok"]
    for failure in bad.drop_duplicates(["cell_id", "impl"]).itertuples():
        out.print(
            f"{failure.impl} in {failure.cell_id}: {failure.status}: {failure.error}",
            markup=False,
            soft_wrap=True,
        )
    for line in advice(run):
        out.print(line, markup=False, soft_wrap=True)
