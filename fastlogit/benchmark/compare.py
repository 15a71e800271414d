"""Two runs held against each other: what became slower, and whether it is the code or the hour.

Times are paired by cell and contender, and the ratio NEW over BASE is looked at in several *views*:

``clock``
    The times as they are.
``numpy``
    Divided by the NumPy baseline's times of the same run, cell and repeat.
``others``
    Where a cell has no baseline: divided by what the same contender's other models did.
``host``
    Divided by what the host's own limits did: products, reading memory, gathering rows.

No view is right at all times. A slower processor slows all alike, and the clock is wrong; a
neighbour that takes the processor in slices hits NumPy's repeats of a tenth of a second and
spares a kernel's of a millisecond, and then NumPy is. So a slowdown must stand in all of them: the
interval given covers those of all views, and it is a regression if the whole of it lies beyond the
threshold. That is an intersection-union test (Berger), whose error is no greater than that of
one view. How the views' intervals are made, in `fastlogit.benchmark.shifts`.

The baseline is the yardstick and is shown, not judged: nothing in a run takes as long as its
repeats and would tell a slower NumPy from a busier hour.

References
----------
R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fastlogit.benchmark import pairing
from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.shifts import TRANSFER, Estimates, consensus, floor, log_floors
from fastlogit.benchmark.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastlogit.benchmark.pairing import Pair, Pairing
    from fastlogit.benchmark.runs import StoredRun

    Views = dict[str, Estimates]

__all__ = ["ALL_MODELS", "Comparison", "compare_runs"]

ALL_MODELS = "all"

_JUDGED = ("ratio", "normalised", "low", "high", "threshold", "verdict", "views")
CELL_COLUMNS = ["cell_id", "model", "impl", "base_s", "new_s", *_JUDGED]
MODEL_COLUMNS = ["impl", "model", "cells", *_JUDGED]

# The view whose ratio stands for the normalised one, the first that there is.
_NORMALISED = ("numpy", "host", "others")


@dataclass(frozen=True)
class Comparison:
    """What two runs say of each other.

    Attributes
    ----------
    base, new : StoredRun
        The runs.
    pairing : Pairing
        Their cells, those that only one of them has, and what failed in NEW alone.
    machine, changes : list of str
        How the machines differ, and what else does.
    cells : DataFrame
        A row a cell and contender: ``cell_id, model, impl, base_s, new_s, ratio, normalised, low,
        high, threshold, verdict, views``. The verdict is ``slower`` or ``faster`` beyond the
        threshold, ``within`` it, ``unsettled`` if the interval has room for both, or empty.
    models : DataFrame
        The same for the cells of a contender and model together, and of all its models.
    """

    base: StoredRun
    new: StoredRun
    pairing: Pairing
    machine: list[str]
    changes: list[str]
    cells: pd.DataFrame
    models: pd.DataFrame

    @property
    def verdict(self) -> str:
        """Give the gravest finding: wrong results, then slower ones, then none at all."""
        statuses = {failure.status for failure in self.pairing.failures}
        if "failed-verification" in statuses:
            return "failed-verification"
        if "slower" in {*self.cells["verdict"], *self.models["verdict"]}:
            return "regression"
        return "failed" if statuses else "ok"


def compare_runs(
    base: StoredRun,
    new: StoredRun,
    thresholds: Thresholds | None = None,
    *,
    different_machines: bool = False,
) -> Comparison:
    """Compare two stored runs.

    Parameters
    ----------
    base, new : StoredRun
        What was, and what is to be judged.
    thresholds : Thresholds, optional
        The slowdowns allowed; by default 5 % everywhere.
    different_machines : bool, default=False
        Compare runs of different machines too; the clock then says nothing.

    Raises
    ------
    ValueError
        If the machines differ and need not, if the runs are of different files, if they have no
        timed cell and contender in common, or if a threshold is about none of them.
    """
    thresholds = thresholds or Thresholds()
    machine = pairing.machine_differences(base.facts, new.facts)
    if machine and not different_machines:
        raise ValueError(
            f"the runs are of different machines: {'; '.join(machine)}; "
            "--allow-different-machines compares them by their ratios to NumPy and to the host"
        )
    files = [(run.facts.get("data") or {}).get("sha256") for run in (base, new)]
    if files[0] != files[1]:
        raise ValueError("the runs are of different data: compare runs of the same file")
    found = pairing.pair(base, new)
    pairs = found.pairs
    if not pairs and not found.failures:
        raise ValueError("the runs have no timed cell and contender in common")
    keys = [(item.cell_id, item.impl) for item in pairs]
    thresholds.check_matches(keys + [(failure.cell_id, failure.impl) for failure in found.failures])
    views = _views(base, new, pairs)
    if machine:
        del views["clock"]
    cells, models = _tables(pairs, views, thresholds)
    changes = pairing.differences(base.facts, new.facts)
    return Comparison(base, new, found, machine, changes, cells, models)


def _views(base: StoredRun, new: StoredRun, pairs: list[Pair]) -> Views:
    clock = _estimates([_shift(base, new, item, [item]) for item in pairs])
    where = {item.cell_id: i for i, item in enumerate(pairs) if item.impl == BASELINE}
    partners = [where.get(item.cell_id) if item.impl != BASELINE else None for item in pairs]
    numpy = _estimates(
        [
            (np.nan, np.nan) if i is None else _shift(base, new, item, [item, pairs[i]])
            for item, i in zip(pairs, partners, strict=True)
        ],
        [0.0 if i is None else clock.shift[i] for i in partners],
    )
    threads = {item.threads for item in pairs}
    limits = {n: pairing.host_shifts(base.facts, new.facts, n) for n in threads}
    alone = np.isnan(numpy.shift)
    others = []
    for item, without in zip(pairs, alone, strict=True):
        without = without and item.impl != BASELINE
        kin = [without and o.impl == item.impl and o.model != item.model for o in pairs]
        others.append(clock.shift[kin])
    return {
        "clock": clock,
        "numpy": numpy,
        "others": _relative(clock, others),
        "host": _relative(clock, [limits[item.threads] for item in pairs]),
    }


def _shift(base: StoredRun, new: StoredRun, item: Pair, sides: list[Pair]) -> tuple[float, float]:
    """Give the shift of a contender, less that of its baseline if there are two sides."""
    runs = [
        pd.concat([getattr(side, name) for side in sides], axis=1, join="inner")
        .to_numpy(np.float64)
        .T
        for name in ("base", "new")
    ]
    draws = min(times.shape[1] for times in runs)
    if draws < 2:
        return np.nan, np.nan  # one repeat says nothing of its own error
    shift, variance = 0.0, 0.0
    for run, times, sign in zip((base, new), runs, (-1, 1), strict=True):
        word = f"{run.facts.get('run_id')} {item.cell_id} {item.impl}"
        point, resampled = log_floors(times, draws, zlib.crc32(word.encode()))
        shift += sign * float(point[0] - point[1:].sum())
        variance += float((resampled[0] - resampled[1:].sum(axis=0)).var())
    return shift, variance


def _estimates(
    shifts: list[tuple[float, float]], divided_out: list[float] | None = None
) -> Estimates:
    shift, variance = np.array(shifts, np.float64).reshape(-1, 2).T
    divided = np.array(divided_out or [0.0] * len(shifts), np.float64)
    return Estimates(shift, variance, (TRANSFER * divided) ** 2)


def _relative(clock: Estimates, witnesses: list[NDArray[np.float64]]) -> Estimates:
    """Take off every cell what its witnesses agree on; where there is none, no view."""
    agreed = np.array([consensus(shifts) for shifts in witnesses], np.float64).reshape(-1, 2)
    common = agreed[:, 1] + (TRANSFER * agreed[:, 0]) ** 2
    return Estimates(clock.shift - agreed[:, 0], clock.variance, common)


def _tables(
    pairs: list[Pair], views: Views, thresholds: Thresholds
) -> tuple[pd.DataFrame, pd.DataFrame]:
    kinds = pd.DataFrame([(item.impl, item.model) for item in pairs], columns=["impl", "model"])
    groups = {
        impl: {str(model): part.index.to_numpy() for model, part in rows.groupby("model")}
        for impl, rows in kinds.groupby("impl")
    }
    pools = [
        (str(impl), model, members)
        for impl, models in groups.items()
        for model, members in {**models, ALL_MODELS: np.concatenate([*models.values()])}.items()
    ]
    # Half of the error for the cells, half for the pools, of which there are fewer.
    judged = [item.impl != BASELINE for item in pairs], [impl != BASELINE for impl, _, _ in pools]
    cell_tests, pool_tests = (2 * max(1, sum(part)) for part in judged)
    allowed = np.array([thresholds.of(item.cell_id, item.impl) for item in pairs])
    cells: list[dict[str, Any]] = []
    for position, item in enumerate(pairs):
        alike = [*groups[item.impl].values()]
        intervals = {name: view.of_one(position, alike, cell_tests) for name, view in views.items()}
        row = {"cell_id": item.cell_id, "model": item.model, "impl": item.impl}
        cells.append(row | _floors(item) | _judged(item.impl, intervals, allowed[position]))
    models: list[dict[str, Any]] = []
    for impl, model, members in pools:
        alike = [*groups[impl].values()]
        intervals = {
            name: view.of_many(members, alike, pool_tests)
            for name, view in views.items()
            # One model's others are among all of them.
            if not (name == "others" and model == ALL_MODELS)
        }
        logs = np.log([cells[position]["ratio"] for position in members])
        pool: dict[str, Any] = {"impl": impl, "model": model, "cells": len(members)}
        pool["ratio"] = float(np.exp(logs.mean()))
        threshold = float(np.expm1(np.log1p(allowed[members]).mean()))
        models.append(pool | _judged(impl, intervals, threshold))
    return pd.DataFrame(cells, columns=CELL_COLUMNS), pd.DataFrame(models, columns=MODEL_COLUMNS)


def _floors(item: Pair) -> dict[str, float]:
    draws = min(len(item.base), len(item.new))
    base, new = (
        float(floor(np.asarray(side, np.float64), draws)) for side in (item.base, item.new)
    )
    return {"base_s": base, "new_s": new, "ratio": new / base}


def _judged(
    impl: str, intervals: dict[str, tuple[float, float]], threshold: float
) -> dict[str, Any]:
    """Turn bounds of shifts by view into ratios, the interval of them all, and a verdict."""
    views = {
        name: {
            "ratio": float(np.exp((low + high) / 2)),
            "low": float(np.exp(low)),
            "high": float(np.exp(high)),
        }
        for name, (low, high) in intervals.items()
        if np.isfinite(low)
    }
    normalised = next((views[name]["ratio"] for name in _NORMALISED if name in views), None)
    row: dict[str, Any] = {"normalised": normalised, "low": None, "high": None}
    row |= {"threshold": threshold, "verdict": "", "views": views}
    # The clock alone cannot tell slower code from a slower hour.
    if views.keys() - {"clock"}:
        row["low"] = min(view["low"] for view in views.values())
        row["high"] = max(view["high"] for view in views.values())
        if impl != BASELINE:
            row["verdict"] = _verdict(row["low"], row["high"], threshold)
    return row


def _verdict(low: float, high: float, threshold: float) -> str:
    if low > 1 + threshold:
        return "slower"
    if high < 1 / (1 + threshold):
        return "faster"
    return "within" if high <= 1 + threshold else "unsettled"
