"""``fastlogit bench run``: verify that the implementations agree, then time them side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fastlogit.cli.ending import CELLS_FAILED, INTERRUPTED, VERIFICATION_FAILED, refuse

if TYPE_CHECKING:
    from fastlogit.benchmark.contenders import Contender
    from fastlogit.benchmark.session import Run

__all__ = ["bench_run"]


def bench_run(
    model: Annotated[
        list[str] | None, typer.Option("-m", "--model", help="Model; repeatable. [all four]")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "-d",
            "--dataset",
            help="Data set, also classification-<n>x<d>x<k>; repeatable. [the seven toy sets]",
        ),
    ] = None,
    impl: Annotated[
        list[str] | None,
        typer.Option(
            "-i",
            "--impl",
            help="Implementation; repeatable; 'all' takes every one present. "
            "[numba and numpy; the peers compile or step slowly and take several times as long]",
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(help="Rows of one step; repeatable. [32]")
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help="float32 or float64; repeatable. [float32]")
    ] = None,
    solver: Annotated[list[str] | None, typer.Option(help="sgd or adam; repeatable. [sgd]")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="Threads of every contender; repeatable. [1]")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of one timed repeat. [about 0.1 s of NumPy]")
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(help="Hidden units of the two networks. [64]")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size. [0.1 for sgd, 0.001 for adam]")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Timed repeats. [10, with --quick 5]", min=1)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of parameters, order and generated data. [0]", min=0, max=2**32 - 1
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only iris and digits, 5 repeats, unless asked for.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the run's directory is made.")] = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON instead of a table.")
    ] = False,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="Show nothing while measuring.")
    ] = False,
) -> None:
    """Verify that the implementations agree, then time their training side by side."""
    say = Console(stderr=True, highlight=False)
    say.print("fastlogit bench: loading", soft_wrap=True)
    from fastlogit.benchmark import machine, session
    from fastlogit.benchmark.cases import Grid
    from fastlogit.benchmark.progress import Progress

    axes = {
        "models": model,
        "datasets": dataset,
        "batch_sizes": batch_size,
        "dtypes": dtype,
        "solvers": solver,
        "threads": threads,
        "seeds": None if seed is None else [seed],
    }
    single = {"epochs": epochs, "n_hidden": hidden, "learning_rate": learning_rate}
    chosen: dict[str, Any] = {name: tuple(values) for name, values in axes.items() if values}
    chosen |= {name: value for name, value in single.items() if value is not None}
    try:
        grid = Grid(**chosen).quick() if quick else Grid(**chosen)
        contenders = _contenders(impl)
        machine.check_threads(grid.threads)
    except ValueError as error:
        refuse(say, str(error))
    repeats = repeats or (5 if quick else 10)
    try:
        files = session.open_run(out, grid, contenders, repeats)
    except OSError as error:
        refuse(say, f"cannot write a run into {out}: {error.strerror or error}")
    steered = [f"{name}={value}" for name, value in machine.environment().items()]
    if steered:
        say.print("the environment sets", ", ".join(steered), markup=False, soft_wrap=True)
    cases = grid.cases()
    with Progress(say, len(cases), enabled=not no_progress) as shown:
        run = session.perform(files, cases, contenders, repeats, shown.case_done)
    _show(run, as_json=as_json)
    if run.interrupted:
        say.print(f"interrupted; what was measured is in {run.directory}", soft_wrap=True)
    else:
        say.print(f"wrote {run.directory}", soft_wrap=True)
    raise typer.Exit(_exit_code(run))


def _contenders(names: list[str] | None) -> list[type[Contender]]:
    """Look contenders up; one that is asked for by name must be present."""
    from fastlogit.benchmark.contenders import CONTENDERS
    from fastlogit.benchmark.names import check_name

    present = [kind for kind in CONTENDERS.values() if kind.missing() is None]
    if not names:
        return [kind for kind in present if kind.by_default]
    if "all" in names:
        return present
    for name in names:
        check_name("implementation", name, CONTENDERS)
        missing = CONTENDERS[name].missing()
        if missing is not None:
            raise ValueError(f"implementation {name!r} cannot run here: {missing}")
    return [CONTENDERS[name] for name in dict.fromkeys(names)]


def _show(run: Run, *, as_json: bool) -> None:
    from fastlogit.benchmark import table

    if as_json:
        print(run.summary.to_json(orient="records", indent=2))
        return
    if run.summary.empty:
        return
    comparison = table.comparison(run.summary, table.tiny_sets(run.timings))
    out = Console(highlight=False)
    wide = out.options.update(width=1000)
    # A line that the terminal breaks is better than figures cut short.
    out.width = max(out.width, out.measure(comparison, options=wide).maximum)
    out.print(comparison)
    for verdict in table.verdicts(run.summary, run.timings):
        out.print(verdict, soft_wrap=True)
    for failure in run.timings[run.timings["status"] != "ok"].itertuples():
        out.print(
            f"{failure.impl} in {failure.cell_id}: {failure.status}: {failure.error}",
            markup=False,
            soft_wrap=True,
        )


def _exit_code(run: Run) -> int:
    statuses = set(run.timings["status"])
    if run.interrupted:
        return INTERRUPTED
    if "failed-verification" in statuses:
        return VERIFICATION_FAILED
    return CELLS_FAILED if "failed" in statuses else 0
