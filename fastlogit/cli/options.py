"""What several commands take: options that choose the cases and the implementations, and runs."""

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from typer import Argument, Option

from fastlogit.cli import completion
from fastlogit.cli.ending import consoles, refuse

if TYPE_CHECKING:
    from fastlogit.benchmark.cases import Grid
    from fastlogit.benchmark.data_file import DataFile
    from fastlogit.benchmark.implementations import Implementation

Run = Annotated[str, Argument(
    metavar="RUN", show_default=False, autocompletion=completion.complete_run,
    help="A run's directory, its id, the beginning of its id, or 'latest'.",
)]  # fmt: skip
Out = Annotated[Path, Option("--out", metavar="DIR", help="The directory that holds the runs.")]
AsJson = Annotated[bool, Option("--json", help="Print the results as JSON.")]


def _option(kind: Any, flags: str, metavar: str | None, text: str) -> Any:
    return Annotated[kind | None, Option(*flags.split(), metavar=metavar, help=text)]


_NAMES, _COUNTS = list[str], list[int]
# By the field of `Grid`, `ReadOptions` or `describe` that the option is for, in the help's order.
_OPTIONS: dict[str, Any] = {
    "questions": _option(_NAMES, "--question", "NAME", "same-estimator (fastlogit's classes "
        "against scikit-learn's), same-steps (the same mini-batch training by several libraries) "
        "or any-algorithm (time to the same loss). [all]"),
    "models": _option(_NAMES, "-m --model", "NAME", "Model. [all; with --data those for its number "
        "of classes]"),
    "datasets": _option(_NAMES, "-d --dataset", "NAME", "Data set; classification-<n>x<d>x<k> is "
        "generated. [seven toy sets]"),
    "implementation": _option(_NAMES, "-i --implementation", "NAME", "Implementation; 'all' for "
        "all that are installed. [fastlogit, NumPy and scikit-learn]"),
    "data": _option(Path, "--data", "FILE", "Your own file: CSV, TSV, Parquet, NPZ, svmlight."),
    "target": _option(str, "--target", "COLUMN", "Column of --data with the classes, or array of "
        "an NPZ file. [target, label, class or y]"),
    "drop": _option(_NAMES, "--drop", "COLUMN", "Column of --data to leave out."),
    "sep": _option(str, "--sep", "TEXT", "Delimiter of --data. [detected]"),
    "decimal": _option(str, "--decimal", "TEXT", "Decimal mark of --data. [detected]"),
    "na": _option(_NAMES, "--na", "TEXT", "Text in --data that means missing, beside the usual."),
    "no_header": _option(bool, "--no-header", None, "The first line of --data is data, not names."),
    "encoding": _option(str, "--encoding", "NAME", "Character encoding of --data. [detected]"),
    "force": _option(bool, "--force", None, "Take --data as it is: each value of the target is a "
        "class, rows of classes with one row are left out, and number columns with texts are "
        "columns of text."),
    "batch_sizes": _option(_COUNTS, "--batch-size", "N", "Rows of one training step. [32; with "
        "--data 32 and 256]"),
    "dtypes": _option(_NAMES, "--dtype", "NAME", "float32 or float64. [float64 for estimators, "
        "float32 for training steps]"),
    "solvers": _option(_NAMES, "--solver", "NAME", "Solver, such as adam or lbfgs. [sgd for "
        "training steps, the default of each estimator]"),
    "threads": _option(_COUNTS, "--threads", "N", "Threads of every implementation. [1]"),
    "epochs": _option(int, "--epochs", "N", "Epochs of one training. [about 0.05 s of NumPy]"),
    "n_hidden": _option(int, "--hidden", "N", "Hidden units. [64; of an estimator 100]"),
    "activation": _option(str, "--activation", "NAME", "Of the hidden layer. [logistic; of an "
        "estimator relu]"),
    "learning_rate": _option(float, "--learning-rate", "RATE", "Step size. [0.1; of adam 0.001]"),
    "target_loss": _option(float, "--target-loss", "LOSS", "Loss to reach. [NumPy's last loss]"),
    "seeds": _option(_COUNTS, "--seed --seeds", "N", "Seed of parameters, row order and generated "
        "data; each is measured. [0]"),
    "timeout": _option(float, "--timeout", "SECONDS", "Limit for one case in one round, after "
        "which the implementation at work has failed; 'inf' for no limit. [600]"),
    "quick": _option(bool, "--quick", None, "Two data sets, unless you name some; few repeats."),
}  # fmt: skip
_OF_FILES = ("target", "drop", "sep", "decimal", "na", "no_header", "encoding", "force")


class Selection(NamedTuple):
    """What is to be measured or verified; the timeout is None for no limit."""

    grid: "Grid"
    implementations: "list[type[Implementation]]"
    timeout: float | None
    quick: bool


def select(given: dict[str, Any]) -> Selection:
    """Return the selection that options describe; ValueError for what cannot be had here."""
    from fastlogit.benchmark.cases import Grid, suits_networks
    from fastlogit.benchmark.implementations import choose
    from fastlogit.benchmark.machine import check_threads

    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items() if value not in (None, [])
    }  # fmt: skip
    timeout = given.get("timeout", 600.0)
    if not timeout > 0:
        raise ValueError(f"--timeout is {timeout:g}; it must be positive")
    axes = {field.name: given[field.name] for field in fields(Grid) if field.name in given}
    file = _data_file(given)
    grid = Grid(**axes, data_file=file)
    if file is not None and "models" not in given and not suits_networks(file):
        text = "networks are left out, since a fit may take minutes; -m mlp-softmax measures them"
        consoles()[1].print(text)
    check_threads(grid.threads)
    implementations = choose(given.get("implementation"), grid.questions)
    quick, limit = bool(given.get("quick")), None if math.isinf(timeout) else timeout
    return Selection(grid.quick() if quick else grid, implementations, limit, quick)


def _data_file(given: dict[str, Any]) -> "DataFile | None":
    """Read the user's own file, if there is one, and print what was found in it."""
    of_file = {name: given[name] for name in _OF_FILES if name in given}
    if "data" not in given:
        if of_file:
            option = next(iter(of_file)).replace("_", "-")
            raise ValueError(f"--{option} describes a file, and there is no --data")
        return None
    from fastlogit.benchmark import data_file

    own = {name: of_file.pop(name) for name in ("target", "drop", "force") if name in of_file}
    header = False if of_file.pop("no_header", False) else None
    options = data_file.ReadOptions(**of_file, header=header)
    words = _without_file(sys.argv[1:])
    file = data_file.describe(given["data"], **own, options=options, command=words)
    for note in data_file.notes(file):
        consoles()[1].print(note)
    return file


def _without_file(words: Iterable[str]) -> Iterator[str]:
    """Yield a command's words but for --data and the options that describe a file."""
    words = iter(words)
    for word in words:
        option, equals, _ = word.removeprefix("--").partition("=")
        name = option.replace("-", "_") if word.startswith("--") else ""
        if name not in ("data", *_OF_FILES):
            yield word
        elif not equals and name not in ("no_header", "force"):
            next(words, None)  # its value


def with_selection(name: str, *without: str) -> Callable[..., Callable[..., None]]:
    """Add the options above but some to a command, which is called with their selection."""
    shared = [option for option in _OPTIONS if option not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        kind = Parameter.KEYWORD_ONLY
        _, *own = inspect.signature(command).parameters.values()
        parameters = [
            *(Parameter(each, kind, default=None, annotation=_OPTIONS[each]) for each in shared),
            *(each.replace(kind=kind) for each in own),
        ]

        def run(**values: Any) -> None:
            _, say = consoles()
            say.print(f"fastlogit bench {name}: loading")  # before the imports that take long
            try:
                selection = select({option: values.pop(option) for option in shared})
            except ValueError as error:
                refuse(say, str(error))
            command(selection, **values)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def read_stored(name: str, out: Path) -> Any:
    """Read a run by its name; a wrong one ends the command."""
    _, say = consoles()
    say.print(f"fastlogit bench: reading {name}")
    from fastlogit.benchmark.storage import find_run, read_run

    try:
        return read_run(find_run(name, out))
    except ValueError as error:
        refuse(say, str(error))
