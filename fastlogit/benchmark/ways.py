"""A run's outcome by the way of training: how good, how fast and by whom, over all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fastlogit.benchmark.cases import usual_rate
from fastlogit.benchmark.recipe import Training
from fastlogit.benchmark.summary import times_to_target

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Entry", "Run", "Way", "ways"]


class Run(Protocol):
    """What is needed of a run: the contents of run.json, timings.csv and curves.csv."""

    @property
    def facts(self) -> dict[str, Any]:
        """The contents of run.json."""

    @property
    def timings(self) -> pd.DataFrame:
        """The rows of timings.csv."""

    @property
    def curves(self) -> pd.DataFrame:
        """The rows of curves.csv."""


@dataclass(frozen=True)
class Entry:
    """An implementation of it: medians over repeats, means over seeds.

    Attributes
    ----------
    impl : str
        Its name.
    target_s : float or None
        Seconds of training to the target loss; None where it was not reached with every seed.
    epoch_s : float or None
        Seconds of an epoch, of the closed division.
    first_s : float
        Seconds of the first call in a process.
    memory : float or None
        Bytes at the peak of a training.
    """

    impl: str
    target_s: float | None
    epoch_s: float | None
    first_s: float
    memory: float | None


@dataclass(frozen=True)
class Way:
    """One way to train a model.

    Attributes
    ----------
    training : Training
        What was trained.
    best, last : float
        Accuracy on the rows held out, at its best and after all epochs.
    best_epoch : int
        When it was best.
    loss : float
        The training loss then.
    target_loss : float or None
        The loss that counts as reached.
    entries : tuple of Entry
        The implementations, quickest to the target first.
    """

    training: Training
    best: float
    last: float
    best_epoch: int
    loss: float
    target_loss: float | None
    entries: tuple[Entry, ...]

    @property
    def quickest(self) -> Entry:
        """The implementation that reached the target first."""
        return self.entries[0]

    @property
    def seconds(self) -> float:
        """What the quickest implementation takes to the target."""
        reached = self.quickest.target_s
        return math.inf if reached is None else reached


def ways(run: Run) -> Iterator[Way]:
    """Give the ways of training that have an accuracy and somebody who got through them.

    Parameters
    ----------
    run : Run
        A run, also one that was interrupted.
    """
    timings, curves = run.timings, run.curves[run.curves["test_accuracy"].notna()]
    failed = timings[timings["status"] != "ok"]
    lost = set(zip(failed["cell_id"], failed["impl"], strict=True))
    kept = [pair not in lost for pair in zip(timings["cell_id"], timings["impl"], strict=True)]
    timings = timings.loc[kept]
    if timings.empty:
        return
    # Later cells find loaded what the first one had to load, and so have no first call.
    first_calls = timings.groupby("impl")["compile_s"].max().to_dict()
    stored = run.facts.get("target_loss") or {}
    targets = {cell_id: loss for cell_id, loss in stored.items() if loss is not None}
    reached = times_to_target(curves, targets)
    for _, rows in timings.groupby(timings["cell_id"].str.rpartition("/")[0], sort=False):
        walked = curves[curves["cell_id"].isin(rows["cell_id"])]
        way = _way(rows, walked, targets, reached, first_calls, run.facts)
        if way is not None:
            yield way


def _way(
    rows: pd.DataFrame,
    curves: pd.DataFrame,
    targets: dict[str, float],
    reached: dict[Any, float],
    first_calls: dict[Any, float],
    facts: dict[str, Any],
) -> Way | None:
    closed = set(rows.loc[rows["division"] == "closed", "impl"])
    # All of the closed division walk the same way: any of them has the accuracies.
    walked = curves[curves["impl"].isin(closed)] if closed & set(curves["impl"]) else curves
    if walked.empty:
        return None
    walks = [walk.sort_values("epoch") for _, walk in walked.groupby("cell_id", sort=False)]
    peaks = [walk.iloc[int(walk["test_accuracy"].to_numpy().argmax())] for walk in walks]
    entries = [
        _entry(group, reached, first_calls[impl])
        for impl, group in rows.groupby("impl", sort=False)
    ]
    entries.sort(key=lambda entry: math.inf if entry.target_s is None else entry.target_s)
    first = rows.iloc[0]
    known = [targets[cell] for cell in dict.fromkeys(rows["cell_id"]) if cell in targets]
    training = Training(
        model=str(first["model"]),
        impl=entries[0].impl,
        solver=str(first["solver"]),
        dtype=str(first["dtype"]),
        n_classes=int(first["n_classes"]),
        batch_size=int(first["batch_size"]),
        epochs=int(first["epochs"]),
        threads=int(first["threads"]),
        n_hidden=None if math.isnan(first["n_hidden"]) else int(first["n_hidden"]),
        learning_rate=facts.get("config", {}).get("learning_rate") or usual_rate(first["solver"]),
    )
    return Way(
        training,
        best=_mean([peak["test_accuracy"] for peak in peaks]),
        last=_mean([walk["test_accuracy"].iloc[-1] for walk in walks]),
        best_epoch=round(_mean([peak["epoch"] for peak in peaks])),
        loss=_mean([peak["train_loss"] for peak in peaks]),
        target_loss=_mean(known) if known else None,
        entries=tuple(entries),
    )


def _entry(rows: pd.DataFrame, reached: dict[Any, float], first_s: float) -> Entry:
    first = rows.iloc[0]
    times = [
        reached.get((cell_id, first["impl"]), math.nan)
        for cell_id in dict.fromkeys(rows["cell_id"])
    ]
    peak = rows["rss_peak_bytes"].max()
    closed = first["division"] == "closed"
    return Entry(
        first["impl"],
        target_s=None if any(map(math.isnan, times)) else _mean(times),
        epoch_s=float(rows["time_s"].median() / first["epochs"]) if closed else None,
        first_s=first_s,
        memory=None if math.isnan(peak) else float(peak),
    )


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
