"""What several commands take: options that say what is measured by whom, and stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fastlogit.cli import completion
from fastlogit.cli.completion import complete

if TYPE_CHECKING:
    from fastlogit.benchmark.cases import Grid
    from fastlogit.benchmark.contenders import Contender
    from fastlogit.benchmark.own_data import Source

__all__ = ["chosen_contenders", "chosen_grid"]

Models = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        metavar="NAME",
        help="Model; repeatable. [all four; of --data those for its classes]",
        autocompletion=complete(completion.MODELS),
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--dataset",
        metavar="NAME",
        help="Data set, also classification-<n>x<d>x<k>; repeatable. [the seven toy sets]",
        autocompletion=complete(completion.DATASETS),
    ),
]
Impls = Annotated[
    list[str] | None,
    typer.Option(
        "-i",
        "--impl",
        metavar="NAME",
        help="Implementation; repeatable; 'all' takes every one present. "
        "[those that need nothing more; jax compiles every cell, and torch is slow]",
        autocompletion=complete(completion.impls),
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Your own file in place of the data sets: CSV, TSV, Parquet, NPZ or svmlight.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="The column of --data, in an NPZ file the array, that names the classes. [target, "
        "label, class or y]",
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Column of --data to leave out; repeatable."),
]
BatchSizes = Annotated[
    list[int] | None,
    typer.Option(
        "--batch-size", metavar="N", help="Rows of one step; repeatable. [32; of --data 32 and 256]"
    ),
]
Dtypes = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help="float32 or float64; repeatable. [float32]",
        autocompletion=complete(completion.DTYPES),
    ),
]
Solvers = Annotated[
    list[str] | None,
    typer.Option(
        "--solver",
        metavar="NAME",
        help="Optimizer, such as sgd or adam; repeatable. [sgd]",
        autocompletion=complete(completion.SOLVERS),
    ),
]
Threads = Annotated[
    list[int] | None,
    typer.Option("--threads", metavar="N", help="Threads of every contender; repeatable. [1]"),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(
        "--seed",
        "--seeds",
        metavar="N",
        help="Seed of parameters, row order and generated data; repeatable, and each is measured. "
        "[0]",
    ),
]
Epochs = Annotated[
    int | None, typer.Option(metavar="N", help="Epochs of one training. [about 0.1 s of NumPy]")
]
Hidden = Annotated[
    int | None, typer.Option(metavar="N", help="Hidden units of the two networks. [64]")
]
Activation = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Activation of the networks' hidden layer.",
        autocompletion=complete(completion.ACTIVATIONS),
    ),
]
LearningRate = Annotated[
    float | None, typer.Option(metavar="RATE", help="Step size. [0.1 for sgd, 0.001 for adam]")
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="For one cell, each time it is measured. Who is at work then has failed there, and "
        "the others have the time once more; 'inf' waits for ever.",
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Only iris and digits, 5 repeats, unless asked for.")
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's directory, its id, the beginning of its id, or 'latest'.",
        show_default=False,
        autocompletion=completion.complete_run,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The directory that holds the runs.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show nothing while measuring.")]

# A cell takes seconds, where data are large a minute; what takes longer than this hangs.
DEFAULT_TIMEOUT = 600.0


def chosen_grid(
    axes: dict[str, list[Any] | None], single: dict[str, Any], *, quick: bool = False
) -> Grid:
    """Make the grid of what was asked for; the rest has the grid's own defaults.

    Raises
    ------
    ValueError
        If there is no such thing, not so many threads, or hidden units for models without any.
    """
    from fastlogit.benchmark import machine
    from fastlogit.benchmark.cases import Grid
    from fastlogit.models import MODELS

    chosen: dict[str, Any] = {name: tuple(values) for name, values in axes.items() if values}
    chosen |= {name: value for name, value in single.items() if value is not None}
    grid = Grid(**chosen)
    machine.check_threads(grid.threads)
    if "n_hidden" in chosen and not any(MODELS[name].has_hidden for name in grid.models):
        raise ValueError(
            f"--hidden is {grid.n_hidden}, and there is no hidden layer in {', '.join(grid.models)}"
        )
    return grid.quick() if quick else grid


def own_source(data: Path | None, target: str | None, drop: list[str] | None) -> Source | None:
    """Read the user's own file, if there is one.

    Raises
    ------
    ValueError
        If it cannot be used, or there is none for the other two options.
    """
    if data is None:
        for name, value in (("--target", target), ("--drop", drop)):
            if value:
                raise ValueError(f"{name} is for a file, and there is no --data")
        return None
    from fastlogit.benchmark import own_data

    return own_data.describe(data, target, drop or ())


def say_source(say: Console, source: Source | None) -> None:
    """Say what the user's file holds, and what is made of it."""
    if source is not None:
        from fastlogit.benchmark import own_data

        for note in own_data.notes(source):
            say.print(note, markup=False, soft_wrap=True)


def chosen_contenders(names: list[str] | None) -> list[type[Contender]]:
    """Look contenders up; one that is asked for by name must be present.

    Raises
    ------
    ValueError
        If there is none by a name, or it cannot run here.
    """
    from fastlogit.benchmark.contenders import CONTENDERS
    from fastlogit.names import check_name

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


def checked_timeout(seconds: float) -> float | None:
    """Give the time limit, None for no limit.

    Raises
    ------
    ValueError
        If it is no positive number.
    """
    if not seconds > 0:
        raise ValueError(f"the timeout is {seconds:g} s; it must be positive")
    return None if seconds == float("inf") else seconds
