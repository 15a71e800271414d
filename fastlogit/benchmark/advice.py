"""What a run on a user's own file says about it: which model, which implementation, at what cost.

The simplest model wins whose accuracy on the rows held out is within the noise of the best; of its
ways to be trained that are good enough the quickest; of the implementations the first to reach the
target loss, whoever it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fastlogit.benchmark.own_data.source import test_rows
from fastlogit.benchmark.recipe import recipe
from fastlogit.benchmark.table import duration
from fastlogit.benchmark.ways import Entry, Run, Way, ways
from fastlogit.models import MODELS

__all__ = ["advice"]


def advice(run: Run) -> list[str]:
    """Say which model and implementation to take for a user's own file, and what they cost.

    Parameters
    ----------
    run : Run
        A run, such as `fastlogit.benchmark.runs.load_run` gives.

    Returns
    -------
    list of str
        Plain lines for a terminal; none for a run on named data sets.
    """
    data = run.facts.get("data")
    if data is None:
        return []
    found = list(ways(run))
    if not found:
        return ["no advice: no model was trained to its end and tested on the rows held out"]
    tested = sum(map(test_rows, data["classes"].values()))
    noise = _noise(max(way.best for way in found), tested * len(set(run.timings["seed"])))
    chosen = _choose(found, noise)
    return [
        f"advice for {data['file']}, from {data['n_train']:,} rows to train on and {tested:,} to "
        "test on:",
        *_on_what_is_missing(run),
        *_on_the_model(chosen, found, noise, data),
        *_on_the_implementation(chosen),
        *_on_the_use(chosen, noise),
    ]


def _noise(accuracy: float, n_rows: int) -> float:
    """Give the standard error of an accuracy; half a row more either way, so it is never 0."""
    share = (accuracy * n_rows + 0.5) / (n_rows + 1)
    return math.sqrt(share * (1 - share) / n_rows)


def _choose(found: Sequence[Way], noise: float) -> Way:
    best = max(way.best for way in found)
    enough = [way for way in found if way.best >= best - noise]
    names = list(MODELS)  # from the simplest to the largest
    simplest = min((way.training.model for way in enough), key=names.index)
    suited = [way for way in enough if way.training.model == simplest]
    return min(suited, key=lambda way: way.seconds)


def _on_what_is_missing(run: Run) -> Iterator[str]:
    """Name the models that a run was asked for and that it did not come to."""
    asked = (run.facts.get("config") or {}).get("models", ())
    missing = [name for name in asked if name not in set(run.timings["model"])]
    if missing:
        yield f"  only among the models measured: the run ended before {', '.join(missing)}"


def _on_the_model(
    chosen: Way, found: Sequence[Way], noise: float, data: dict[str, Any]
) -> Iterator[str]:
    training = chosen.training
    # So many digits that a difference beyond the noise is seen.
    digits = 1 if noise >= 0.0005 else 2
    held_out = {name: test_rows(rows) for name, rows in data["classes"].items()}
    commonest = max(held_out, key=lambda name: held_out[name])
    baseline = held_out[commonest] / sum(held_out.values())
    yield (
        f"model: {training.model} in batches of {training.batch_size} with {training.solver}: "
        f"{chosen.best:.{digits}%} of the rows held out are right (± {noise:.{digits}%}), after "
        f"{chosen.best_epoch} of {training.epochs} epochs, at a training loss of {chosen.loss:.3g}"
    )
    if chosen.best <= baseline + noise:
        yield (
            f"  that is no better than calling every row {commonest!r} ({baseline:.{digits}%}): "
            "these columns do not tell the classes apart, or not with this step size"
        )
    else:
        yield f"  calling every row {commonest!r} would make {baseline:.{digits}%} right"
    others = {way.training.model: way.best for way in sorted(found, key=lambda way: way.best)}
    best = max(others.values())
    del others[training.model]
    for model in filter(others.__contains__, MODELS):
        # Whoever is within the noise and was not chosen is larger than who was.
        if others[model] < best - noise:
            verdict = "worse"
        elif others[model] > chosen.best:
            verdict = "better by less than the noise, and larger"
        else:
            verdict = "no better, and larger"
        yield f"  {model} makes {others[model]:.{digits}%} right: {verdict}"


def _on_the_implementation(chosen: Way) -> Iterator[str]:
    winner, others = chosen.quickest, chosen.entries[1:]
    if winner.target_s is None or chosen.target_loss is None:
        goal = "a target loss" if chosen.target_loss is None else f"{chosen.target_loss:.4g}"
        yield f"implementation: none reached {goal}; take the table's fastest, or more epochs"
        return
    ratios = [
        f"{entry.impl} takes {entry.target_s / winner.target_s:.3g}x as long"
        if entry.target_s is not None
        else f"{entry.impl} does not get there"
        for entry in others
    ]
    yield (
        f"implementation: {winner.impl} reaches a training loss of {chosen.target_loss:.4g} in "
        f"{duration(winner.target_s)}" + "".join(f"; {ratio}" for ratio in ratios)
    )
    costs = [] if winner.epoch_s is None else [f"{duration(winner.epoch_s)} an epoch"]
    costs.append(f"{duration(winner.first_s)} for the first call in a process")
    if winner.memory is not None:
        amount = "less than 1" if winner.memory < 1e6 else f"{winner.memory / 1e6:.3g}"
        costs.append(f"{amount} MB of memory beside the rows")
    yield f"cost: {', '.join(costs)}"
    yield from _on_a_single_fit(winner, others)


def _on_a_single_fit(winner: Entry, others: Sequence[Entry]) -> Iterator[str]:
    """Name who is quicker when the first call is counted, and from how many fits on it is not."""
    assert winner.target_s is not None  # noqa: S101
    once = {entry.first_s + entry.target_s: entry for entry in others if entry.target_s is not None}
    if not once or min(once) >= winner.first_s + winner.target_s:
        return
    seconds = min(once)
    other = once[seconds]
    assert other.target_s is not None  # noqa: S101
    ahead = (winner.first_s - other.first_s) / max(other.target_s - winner.target_s, 1e-12)
    yield (
        f"for a single fit {other.impl} is the quicker, {duration(seconds)} with the first call "
        f"against {duration(winner.first_s + winner.target_s)}; {winner.impl} is ahead from "
        f"{math.floor(ahead) + 1:,} fits in one process"
    )


def _on_the_use(chosen: Way, noise: float) -> Iterator[str]:
    training = chosen.training
    if chosen.last < chosen.best - noise:
        training = replace(training, epochs=chosen.best_epoch)
        yield (
            f"train no longer than {chosen.best_epoch} epochs: after {chosen.training.epochs} only "
            f"{chosen.last:.1%} are right"
        )
    for entry in chosen.entries:
        lines = recipe(replace(training, impl=entry.impl))
        if lines:
            by = "" if entry is chosen.quickest else f" {entry.impl}"
            yield f"use{by}, with numbers scaled and texts one-hot encoded as here:"
            yield from (f"  {line}" for line in lines)
            return
