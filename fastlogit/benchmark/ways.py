"""A run's outcome by the way of training: how good, how fast and by whom, over all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fastlogit.benchmark.cases import Case, usual_rate
from fastlogit.benchmark.summary import begun_at_target, first_calls, times_to_target

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
    closed : bool
        Whether it takes the steps of the way's case.
    accuracy, loss : float
        Share of the rows held out that it gets right, and its training loss, both at the end: after
        all epochs, or of the first fit to reach the target, or else of the longest.
    iterations : int
        The epochs or iterations of that training, the most of any seed.
    target_s : float or None
        Seconds of training to the target loss; None where it was not reached with every seed.
    epoch_s : float or None
        Seconds of an epoch, of the closed division.
    first_s : float
        Seconds of the first call in a process, the longest of the run.
    memory : float or None
        Bytes at the peak of a training.
    """

    impl: str
    closed: bool
    accuracy: float
    loss: float
    iterations: int
    target_s: float | None
    epoch_s: float | None
    first_s: float
    memory: float | None


@dataclass(frozen=True)
class Way:
    """One way to train a model.

    Attributes
    ----------
    case : Case
        What was trained, with the first of its seeds.
    n_rows : int
        Rows that were trained on.
    target_loss : float or None
        The loss that counts as reached.
    begun_there : bool
        Whether training begins at the target already, with any seed, so that it is none.
    entries : tuple of Entry
        The implementations, quickest to the target first, then quickest through an epoch.
    """

    case: Case
    n_rows: int
    target_loss: float | None
    begun_there: bool
    entries: tuple[Entry, ...]

    @property
    def quickest(self) -> Entry:
        """The first of the implementations."""
        return self.entries[0]

    @property
    def accuracy(self) -> float:
        """The quickest implementation's accuracy."""
        return self.quickest.accuracy

    @property
    def seconds(self) -> float:
        """What the quickest implementation takes to the target."""
        reached = self.quickest.target_s
        return math.inf if reached is None else reached


@dataclass(frozen=True)
class _Told:
    """What a run tells of all its ways: curves, targets and who reached them, first calls."""

    facts: dict[str, Any]
    curves: pd.DataFrame
    targets: Mapping[str, float]
    reached: dict[Any, float]
    begun_there: set[str]
    first_calls: dict[Any, float]


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
    traced = set(zip(curves["cell_id"], curves["impl"], strict=True))
    pairs = zip(timings["cell_id"], timings["impl"], strict=True)
    timings = timings.loc[[pair in traced - lost for pair in pairs]]
    if timings.empty:
        return
    stored = run.facts.get("target_loss") or {}
    targets = {cell_id: loss for cell_id, loss in stored.items() if loss is not None}
    told = _Told(
        run.facts,
        curves,
        targets,
        times_to_target(curves, targets),
        begun_at_target(curves, targets),
        first_calls(timings).groupby("impl").max().to_dict(),
    )
    for _, rows in timings.groupby(timings["cell_id"].str.rpartition("/")[0], sort=False):
        yield _way(rows, told)


def _way(rows: pd.DataFrame, told: _Told) -> Way:
    entries = [_entry(group, told) for _, group in rows.groupby("impl", sort=False)]
    # Where nobody is there, by the time of an epoch.
    entries.sort(key=lambda entry: (entry.target_s or math.inf, entry.epoch_s or math.inf))
    first, cells = rows.iloc[0], list(dict.fromkeys(rows["cell_id"]))
    known = [told.targets[cell] for cell in cells if cell in told.targets]
    case = Case(
        model=str(first["model"]),
        dataset=str(first["dataset"]),
        solver=str(first["solver"]),
        batch_size=int(first["batch_size"]),
        dtype=str(first["dtype"]),
        threads=int(first["threads"]),
        epochs=int(first["epochs"]),
        seed=int(first["seed"]),
        n_hidden=None if math.isnan(first["n_hidden"]) else int(first["n_hidden"]),
        learning_rate=told.facts.get("config", {}).get("learning_rate")
        or usual_rate(first["solver"]),
    )
    return Way(
        case,
        n_rows=int(first["n_samples"]),
        target_loss=_mean(known) if known else None,
        begun_there=not told.begun_there.isdisjoint(cells),
        entries=tuple(entries),
    )


def _entry(rows: pd.DataFrame, told: _Told) -> Entry:
    first, cells = rows.iloc[0], list(dict.fromkeys(rows["cell_id"]))
    closed = first["division"] == "closed"
    times = [told.reached.get((cell, first["impl"])) for cell in cells]
    mine = told.curves[told.curves["impl"] == first["impl"]]
    ends = [
        _end(mine[mine["cell_id"] == cell], None if closed else time)
        for cell, time in zip(cells, times, strict=True)
    ]
    reached = [time for time in times if time is not None]
    peak = rows["rss_peak_bytes"].max()
    return Entry(
        first["impl"],
        closed,
        accuracy=_mean([end["test_accuracy"] for end in ends]),
        loss=_mean([end["train_loss"] for end in ends]),
        iterations=max(int(end["epoch"]) for end in ends),
        target_s=_mean(reached) if len(reached) == len(cells) else None,
        epoch_s=float(rows["time_s"].median() / first["epochs"]) if closed else None,
        first_s=told.first_calls[first["impl"]],
        memory=None if math.isnan(peak) else float(peak),
    )


def _end(curve: pd.DataFrame, reached_s: float | None) -> pd.Series[Any]:
    """Give the point that took so long, or the last one."""
    at = curve["epoch"] if reached_s is None else -(curve["elapsed_s"] - reached_s).abs()
    return curve.iloc[int(at.to_numpy().argmax())]


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
