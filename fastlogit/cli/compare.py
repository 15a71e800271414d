"""``fastlogit bench compare`` and ``check``: what changed between two stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fastlogit.cli import completion, options
from fastlogit.cli.ending import CELLS_FAILED, VERIFICATION_FAILED, refuse

if TYPE_CHECKING:
    from rich.table import Table

    from fastlogit.benchmark.compare import Comparison

__all__ = ["CHECK_EXAMPLES", "COMPARE_EXAMPLES", "REGRESSION", "bench_check", "bench_compare"]

REGRESSION = 1
_CODES = {
    "ok": 0,
    "regression": REGRESSION,
    "failed-verification": VERIFICATION_FAILED,
    "failed": CELLS_FAILED,
}

COMPARE_EXAMPLES = """\b
Examples:
  fastlogit bench compare reference latest
  fastlogit bench compare 20261123-1307 20261124 --json > comparison.json"""

CHECK_EXAMPLES = """\b
Examples:
  fastlogit bench check reference latest                      5 % slower is a regression
  fastlogit bench check main/20261123-130755-c81f latest --max-slowdown 10%
  fastlogit bench check reference latest --thresholds thresholds.toml
\b
thresholds.toml:
  default = "10%"
  [cells]                     # patterns over cell_id, the last that matches counts
  "*/iris/*" = "20%"
  [impl.torch]                # of one contender
  "*" = "30%"
\b
Exit codes: 0 no regression, 1 regression, 2 the command was wrong, 3 a contender that was verified
in BASE fails verification in NEW, 4 one that ran in BASE fails in NEW."""

_RUN = "directory, its id in --out, the beginning of one, or 'latest'."
Base = Annotated[
    str,
    typer.Argument(
        metavar="BASE", help=f"The run before: {_RUN}", autocompletion=completion.complete_run
    ),
]
New = Annotated[
    str,
    typer.Argument(
        metavar="NEW", help=f"The run after: {_RUN}", autocompletion=completion.complete_run
    ),
]
Slowdown = Annotated[
    str | None,
    typer.Option(
        "--max-slowdown",
        metavar="SHARE",
        help="How much slower a cell may become, 10% or 0.1; goes over the default of --thresholds."
        " [5%]",
    ),
]
ThresholdFile = Annotated[
    Path | None,
    typer.Option("--thresholds", metavar="FILE", help="TOML file with a threshold a cell."),
]
Machines = Annotated[
    bool,
    typer.Option(
        "--allow-different-machines",
        help="Compare runs of different machines or of other variables that steer BLAS; by the "
        "ratios to NumPy and to the host's limits then.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def bench_compare(
    base: Base,
    new: New,
    max_slowdown: Slowdown = None,
    thresholds: ThresholdFile = None,
    allow_different_machines: Machines = False,
    out: options.Out = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Show what became slower or faster from one run to another, every cell of them."""
    compared = _compared(base, new, max_slowdown, thresholds, allow_different_machines, out)
    _show(compared, as_json=as_json, every_cell=True)


def bench_check(
    base: Base,
    new: New,
    max_slowdown: Slowdown = None,
    thresholds: ThresholdFile = None,
    allow_different_machines: Machines = False,
    out: options.Out = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Fail if a run is slower than another, beyond a threshold and beyond the noise of both."""
    compared = _compared(base, new, max_slowdown, thresholds, allow_different_machines, out)
    if not (compared.pairing.failures or any(compared.cells["verdict"])):
        refuse(
            Console(stderr=True, highlight=False),
            "there is nothing to judge: of a contender other than numpy both runs need two repeats "
            "in a cell, and numpy's times of it or a calibration",
        )
    _show(compared, as_json=as_json, every_cell=False)
    raise typer.Exit(_CODES[compared.verdict])


def _compared(
    base: str,
    new: str,
    max_slowdown: str | None,
    thresholds: Path | None,
    different_machines: bool,
    out: Path,
) -> Comparison:
    say = Console(stderr=True, highlight=False)
    say.print(f"fastlogit bench: comparing {base} with {new}", markup=False, soft_wrap=True)
    from fastlogit.benchmark.compare import compare_runs
    from fastlogit.benchmark.runs import load_run
    from fastlogit.benchmark.thresholds import Thresholds, load_thresholds, parse_slowdown

    try:
        allowed = None if max_slowdown is None else parse_slowdown(max_slowdown, "--max-slowdown")
        if thresholds is not None:
            limits = load_thresholds(thresholds, allowed)
        else:
            limits = Thresholds() if allowed is None else Thresholds(allowed)
        runs = load_run(base, out), load_run(new, out)
        return compare_runs(*runs, limits, different_machines=different_machines)
    except ValueError as error:
        refuse(say, str(error))


def _show(compared: Comparison, *, as_json: bool, every_cell: bool) -> None:
    from fastlogit.benchmark import compare_output

    if as_json:
        print(compare_output.as_json(compared))
        return
    out = Console(highlight=False)
    if every_cell or (compared.cells["verdict"] == "slower").any():
        _print(out, compare_output.cells_table(compared, only_slower=not every_cell))
        out.print()
    if len(compared.models):
        _print(out, compare_output.models_table(compared))
        out.print()
    for line in (*compare_output.notes(compared), *compare_output.findings(compared)):
        out.print(line, markup=False, soft_wrap=True)
    out.print(f"verdict: {compared.verdict}", markup=False)


def _print(out: Console, table: Table) -> None:
    wide = out.options.update(width=1000)
    # A line that the terminal breaks is better than figures cut short.
    out.width = max(out.width, out.measure(table, options=wide).maximum)
    out.print(table)
