"""``fastlogit bench verify``: whether the implementations agree, without timing them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from fastlogit.cli import options
from fastlogit.cli.ending import INTERRUPTED, exit_code, refuse

__all__ = ["VERIFY_EXAMPLES", "bench_verify"]

VERIFY_EXAMPLES = """\b
Examples:
  fastlogit bench verify                  all models and toy sets
  fastlogit bench verify --quick -i all   two data sets, whatever is installed
  fastlogit bench verify -m softmax --dtype float64 --solver adam --json
\b
Exit codes: 0 all agree, 2 the command is wrong, 3 one does not agree, 4 one
could not be run, 124 a cell took longer than the timeout, 130 Ctrl-C. Of
several the worst counts, in this order: 130, 3, 124, 4."""


def bench_verify(
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
    seed: options.Seeds = None,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only iris and digits, unless asked for.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the rows as JSON, at the end.")
    ] = False,
) -> None:
    """Train every implementation once and hold it against the NumPy reference."""
    say = Console(stderr=True, highlight=False)
    say.print("fastlogit bench verify: loading", soft_wrap=True)
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
    }
    try:
        limit = options.checked_timeout(timeout)
        contenders = options.chosen_contenders(impl)
        source = options.own_source(data, target, drop)
        grid = options.chosen_grid(axes, single | {"source": source}, quick=quick)
    except ValueError as error:
        refuse(say, str(error))
    options.say_source(say, source)
    from fastlogit.benchmark.agreement import agreements

    out = Console(highlight=False)
    cases = grid.cases()
    width = max(len(case.cell_id) for case in cases)
    names = max(len(kind.name) for kind in contenders)
    rows: list[dict[str, Any]] = []
    interrupted = False
    try:
        for row in agreements(cases, contenders, timeout=limit):
            rows.append(row)
            if not as_json:
                line = f"{row['cell_id']:<{width}}  {row['impl']:<{names}}  {_verdict(row)}"
                out.print(line, markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        interrupted = True
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        out.print(_total(rows), soft_wrap=True)
    if interrupted:
        say.print("interrupted")
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(exit_code((row["status"], row["error"]) for row in rows))


def _verdict(row: dict[str, Any]) -> str:
    if row["status"] != "ok":
        return f"{row['status']}: {row['error']}"
    if row["verified"] is None:
        return "open: another algorithm, not compared"
    return (
        f"ok: parameters differ by {row['params_error']:.1e}, loss by {row['loss_error']:.1e}; "
        f"allowed is {row['tolerance']:g}"
    )


def _total(rows: Sequence[dict[str, Any]]) -> str:
    open_ones = sum(row["status"] == "ok" and row["verified"] is None for row in rows)
    counts = Counter(row["status"] for row in rows if row["status"] != "ok")
    agree = sum(row["verified"] is True for row in rows)
    others = {"open": open_ones} if open_ones else {}
    parts = [f"{count} {status}" for status, count in (others | counts).items()]
    return ", ".join([f"{agree} agree with the reference", *parts])
