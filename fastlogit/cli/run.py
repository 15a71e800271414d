"""``fastlogit bench run``: verify that the implementations agree, then time them side by side."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fastlogit.cli import options
from fastlogit.cli.ending import CELLS_FAILED, INTERRUPTED, exit_code, refuse
from fastlogit.cli.show import print_run

if TYPE_CHECKING:
    from fastlogit.benchmark.cases import Case
    from fastlogit.benchmark.contenders import Contender
    from fastlogit.benchmark.results import RunFiles
    from fastlogit.benchmark.session import Run

__all__ = ["RUN_EXAMPLES", "bench_run"]

RUN_EXAMPLES = """\b
Examples:
  fastlogit bench run                     all models and toy sets
  fastlogit bench run --quick -i all      two data sets, whatever is installed
  fastlogit bench run --data my.csv --target species
  fastlogit bench run -m softmax -d classification-9000x64x10 --batch-size 256
  fastlogit bench run -i numba -i torch --seed 0 --seed 1 --timeout 60
  fastlogit bench run --dry-run           what would be measured, and how long
  fastlogit bench run --resume            go on with a run that was cut short
\b
Exit codes: 0 all is well, 2 the command is wrong, 3 an implementation failed
verification, 4 some cells failed or could not be written, 124 a cell took
longer than the timeout, 130 Ctrl-C. Of several the worst counts, in this
order: 130, 3, 124, 4."""


def bench_run(
    model: options.Models = None,
    dataset: options.Datasets = None,
    impl: options.Impls = None,
    data: options.Data = None,
    target: options.Target = None,
    drop: options.Drop = None,
    batch_size: options.BatchSizes = None,
    dtype: options.Dtypes = None,
    solver: options.Solvers = None,
    threads: options.Threads = None,
    epochs: options.Epochs = None,
    hidden: options.Hidden = None,
    activation: options.Activation = "logistic",
    learning_rate: options.LearningRate = None,
    target_loss: Annotated[
        float | None,
        typer.Option(
            metavar="LOSS",
            help="Training loss that counts as reached. [the NumPy reference's last]",
        ),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", help="Timed repeats. [10, with --quick 5]", min=1)
    ] = None,
    seed: options.Seeds = None,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT,
    quick: options.Quick = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only print what would be measured, and roughly for how long."
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with the newest unfinished run in --out of the same cells on the same "
            "machine and packages, if there is one.",
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where the run's directory is made.")
    ] = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON instead of a table.")
    ] = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Verify that the implementations agree, then time their training side by side."""
    say = Console(stderr=True, highlight=False)
    say.print("fastlogit bench: loading", soft_wrap=True)
    axes = {
        "models": model,
        "datasets": dataset,
        "batch_sizes": batch_size,
        "dtypes": dtype,
        "solvers": solver,
        "threads": threads,
        "seeds": seed,
    }
    single = {
        "epochs": epochs,
        "n_hidden": hidden,
        "activation": activation,
        "learning_rate": learning_rate,
        "target_loss": target_loss,
    }
    from fastlogit.benchmark import session

    try:
        limit = options.checked_timeout(timeout)
        contenders = options.chosen_contenders(impl)
        source = options.own_source(data, target, drop)
        grid = options.chosen_grid(axes, single | {"source": source}, quick=quick)
    except ValueError as error:
        refuse(say, str(error))
    options.say_source(say, source)
    repeats = repeats or (5 if quick else 10)
    cases = grid.cases()
    if dry_run:
        _show_plan(cases, contenders, repeats, as_json=as_json)
        return
    files = _files(say, out, session.describe(grid, contenders, repeats), resume=resume)
    run = _measure(say, files, cases, contenders, repeats, limit, progress=not no_progress)
    _show(run, as_json=as_json)
    if run.interrupted:
        _say_how_to_go_on(say, "interrupted", run.directory)
        raise typer.Exit(INTERRUPTED)
    say.print(f"wrote {run.directory}", markup=False, soft_wrap=True)
    statuses, errors = (run.timings[name].astype(str) for name in ("status", "error"))
    raise typer.Exit(exit_code(zip(statuses, errors, strict=True)))


def _files(say: Console, out: Path, facts: dict[str, Any], *, resume: bool) -> RunFiles:
    """Open the run's files, before any work that would be lost without them."""
    from fastlogit.benchmark.results import RunFiles
    from fastlogit.benchmark.resume import resume as go_on

    steered = [f"{name}={value}" for name, value in facts["environment"].items()]
    if steered:
        say.print("the environment sets", ", ".join(steered), markup=False, soft_wrap=True)
    try:
        files = None
        if resume:
            files, what = go_on(out, facts)
            say.print(what, markup=False, soft_wrap=True)
        return files or RunFiles(out, facts)
    except OSError as error:
        why = "it is a file" if out.is_file() else error.strerror or error
        refuse(say, f"cannot write a run into {out}: {why}")


def _measure(
    say: Console,
    files: RunFiles,
    cases: Sequence[Case],
    contenders: Sequence[type[Contender]],
    repeats: int,
    timeout: float | None,
    *,
    progress: bool,
) -> Run:
    from fastlogit.benchmark import session
    from fastlogit.benchmark.plan import plan
    from fastlogit.benchmark.progress import Progress
    from fastlogit.benchmark.rounds import schedule

    planned = plan(files.left(schedule(cases, contenders, repeats)))
    try:
        with Progress(say, planned, enabled=progress) as shown:
            return session.perform(
                files, cases, contenders, repeats, timeout=timeout, observer=shown
            )
    except OSError as error:
        what = f"cannot write {error.filename}: {error.strerror}" if error.filename else str(error)
        _say_how_to_go_on(say, f"Error: {what}", files.directory)
        raise typer.Exit(CELLS_FAILED) from error


def _say_how_to_go_on(say: Console, trouble: str, directory: Path) -> None:
    words = [word for word in sys.argv[1:] if word not in ("--resume", "--no-resume")]
    command = shlex.join(["fastlogit", *words, "--resume"])
    for line in (f"{trouble}; what was measured is in {directory}", f"go on with: {command}"):
        say.print(line, markup=False, soft_wrap=True)


def _show_plan(
    cases: Sequence[Case], contenders: Sequence[type[Contender]], repeats: int, *, as_json: bool
) -> None:
    from fastlogit.benchmark.plan import by_case, lines, plan
    from fastlogit.benchmark.rounds import schedule

    planned = plan(schedule(cases, contenders, repeats))
    if as_json:
        cells = [
            {"cell_id": case.cell_id, "impls": impls, "seconds": round(seconds, 1)}
            for case, (impls, seconds) in by_case(planned).items()
        ]
        print(json.dumps(cells, indent=2))
        return
    out = Console(highlight=False)
    for line in lines(planned, repeats):
        out.print(line, markup=False, soft_wrap=True)


def _show(run: Run, *, as_json: bool) -> None:
    if as_json:
        print(run.summary.to_json(orient="records", indent=2))
    elif not run.summary.empty:
        print_run(run)
