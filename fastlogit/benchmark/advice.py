"""What a run on a user's own file says about it: which model, which implementation, at what cost.

The simplest model wins whose accuracy on the rows held out is within the noise of the best; of its
ways to be trained that are good enough the quickest; of the implementations the first to reach the
target loss, whoever it is. An accuracy is that at the end of training: an epoch chosen by the rows
held out would look better on them than it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from fastlogit.benchmark.own_data.source import test_rows
from fastlogit.benchmark.recipe import recipe
from fastlogit.benchmark.table import begun_there, duration
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
    noise = _noise(max(way.accuracy for way in found), tested * len(set(run.timings["seed"])))
    chosen = _choose(found, noise)
    return [
        f"advice for {data['file']}, from {data['n_train']:,} rows to train on and {tested:,} to "
        "test on:",
        *_on_what_is_missing(run),
        *_on_the_model(chosen, found, noise, data),
        *_on_the_implementation(chosen, run),
        *_on_the_use(chosen),
    ]


def _noise(accuracy: float, n_rows: int) -> float:
    """Give the standard error of an accuracy; half a row more either way, so it is never 0."""
    share = (accuracy * n_rows + 0.5) / (n_rows + 1)
    return math.sqrt(share * (1 - share) / n_rows)


def _choose(found: Sequence[Way], noise: float) -> Way:
    best = max(way.accuracy for way in found)
    enough = [way for way in found if way.accuracy >= best - noise]
    names = list(MODELS)  # from the simplest to the largest
    simplest = min((way.case.model for way in enough), key=names.index)
    suited = [way for way in enough if way.case.model == simplest]
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
    case, by = chosen.case, chosen.quickest
    trained = f"{by.iterations} {'epochs' if by.closed else 'iterations'}"
    steps = f" in batches of {case.batch_size} with {case.solver}" if by.closed else ""
    # So many digits that a difference beyond the noise is seen.
    digits = 1 if noise >= 0.0005 else 2
    held_out = {name: test_rows(rows) for name, rows in data["classes"].items()}
    commonest = max(held_out, key=lambda name: held_out[name])
    baseline = held_out[commonest] / sum(held_out.values())
    yield (
        f"model: {case.model}, by {by.impl}{steps}: {by.accuracy:.{digits}%} of the rows held out "
        f"are right (± {noise:.{digits}%}), after {trained}, at a training loss of {by.loss:.3g}"
    )
    # The model was chosen by these very rows: once the noise would not be enough.
    if by.accuracy <= baseline + 2 * noise:
        yield (
            f"  that is not clearly better than calling every row {commonest!r} "
            f"({baseline:.{digits}%}): these columns do not tell the classes apart, or not with "
            "this step size"
        )
    else:
        yield f"  calling every row {commonest!r} would make {baseline:.{digits}%} right"
    others = {way.case.model: way.accuracy for way in sorted(found, key=lambda way: way.accuracy)}
    best = max(others.values())
    del others[case.model]
    for model in filter(others.__contains__, MODELS):
        # Whoever is within the noise and was not chosen is larger than who was.
        if others[model] < best - noise:
            verdict = "worse"
        elif others[model] > by.accuracy:
            verdict = "better by less than the noise, and larger"
        else:
            verdict = "no better, and larger"
        yield f"  {model} makes {others[model]:.{digits}%} right: {verdict}"


def _on_the_implementation(chosen: Way, run: Run) -> Iterator[str]:
    winner, others = chosen.quickest, chosen.entries[1:]
    if chosen.begun_there:
        yield f"implementation: {begun_there(run.facts)}"
        return
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
    costs.append(f"up to {duration(winner.first_s)} for the first call in a process")
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


def _on_the_use(chosen: Way) -> Iterator[str]:
    for entry in chosen.entries:
        lines = recipe(entry.impl, chosen.case, chosen.n_rows, entry.iterations)
        if lines:
            by = "" if entry is chosen.quickest else f" {entry.impl}, {entry.accuracy:.1%} right"
            yield (
                f"use{by}, with X in {chosen.case.dtype}, numbers scaled, texts one-hot encoded "
                "and classes numbered from 0 as here:"
            )
            yield from (f"  {line}" for line in lines)
            return
