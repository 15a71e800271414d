"""Two runs compared: what became slower by more than is allowed, and how sure that is.

Only fastlogit's implementations are judged; the baseline of a case shows how much of a change is
the machine's. The cases of one model, task and implementation are judged together, by the slowdown
that is allowed. A case alone is too uncertain for that: it is called slower or faster where that is
certain, and nothing otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastlogit.benchmark import statistics
from fastlogit.benchmark.cases import task_of
from fastlogit.benchmark.schema import BASELINES, PRODUCT

if TYPE_CHECKING:
    import pandas as pd

    from fastlogit.benchmark.storage import StoredRun

MAX_SLOWDOWN = 0.05
_KEY = ["case_id", "implementation"]
_JUDGED = ["slowdown", "low", "high", "verdict"]
_Key = tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """What two runs say of each other.

    ``slowdown`` is the time in NEW over that in BASE, less the baseline's drift, with its interval
    from ``low`` to ``high``; the verdict on it is that of `statistics.verdict`.
    """

    max_slowdown: float  # what is allowed, as a share of the time in BASE
    models: "pd.DataFrame"  # a row for each model, task and implementation of several cases
    cases: "pd.DataFrame"  # a row for each case; the verdict is empty unless slower or faster
    failures: list[tuple[str, str, str, str]]  # case, implementation, status, error: in NEW alone
    machine: list[str]  # how the machines differ
    notes: list[str]  # what else does

    @property
    def verdict(self) -> str:
        """The gravest finding: failed-verification, regression, failed, inconclusive or ok."""
        statuses, found = {failure[2] for failure in self.failures}, set(self.models["verdict"])
        if "failed-verification" in statuses:
            return "failed-verification"
        if "slower" in found | set(self.cases["verdict"]):
            return "regression"
        if statuses:
            return "failed"
        return "inconclusive" if "inconclusive" in found or not found else "ok"


def compare(
    base: "StoredRun", new: "StoredRun", *, max_slowdown: float = MAX_SLOWDOWN
) -> Comparison:
    """Compare two runs; ValueError if their data differ or they have nothing to be judged by."""
    names = "sha256", "target", "drop", "n_features", "classes"
    files = [[(run.facts.get("data") or {}).get(name) for name in names] for run in (base, new)]
    if files[0] != files[1]:
        raise ValueError("the runs are of different data; compare runs of the same file")
    (before, failed_before), (after, failed) = (_times(run.timings) for run in (base, new))
    known, now = {*before.index, *failed_before}, {*after.index, *failed}
    same = {
        key for key, (status, _) in failed_before.items() if failed.get(key, "")[:1] == (status,)
    }
    broken = sorted((failed.keys() & known) - same)
    per_round = (new.facts.get("config") or {}).get("repeats_per_round", 1)
    shifts = _shifts(before, after, per_round)
    if not shifts and not broken:
        raise ValueError(
            f"the runs have nothing in common to judge; both need two equal repeats of {PRODUCT} "
            "and of its baseline in the same case"
        )
    notes = _differences(*(_circumstances(run.facts) for run in (base, new)))
    for name, alone in (("BASE", sorted(known - now)), ("NEW", sorted(now - known))):
        if alone:
            notes.append(f"only in {name}: {alone[0][1]} in {alone[0][0]}, {len(alone)} in all")
    return Comparison(
        max_slowdown,
        *_tables(shifts, before.median(axis=1), after.median(axis=1), max_slowdown),
        failures=[(*key, *failed[key]) for key in broken],
        machine=_differences(*(_machine(run.facts) for run in (base, new))),
        notes=notes,
    )


def _times(timings: "pd.DataFrame") -> tuple["pd.DataFrame", dict[_Key, tuple[str, str]]]:
    """Return the seconds by case and implementation, a column per repeat; and who failed how."""
    ok = timings["status"] == "ok"
    rows = timings.loc[~ok, [*_KEY, "status", "error"]].itertuples(index=False, name=None)
    failed = {(case, name): (status, str(error)) for case, name, status, error in rows}
    times = timings[ok].pivot(index=_KEY, columns="repeat", values="time_s")
    return times.loc[[key not in failed for key in times.index]], failed


def _shifts(
    before: "pd.DataFrame", after: "pd.DataFrame", per_round: int
) -> dict[_Key, statistics.Shift]:
    """Return the shift of each implementation in each case, as far as it can be judged."""
    shifts = {}
    before, after = before.align(after, join="inner")
    for case_id, name in before.index:
        # Another algorithm has no baseline, but that of the same steps has trained in its case.
        question = "same-steps" if task_of(case_id) == "train" else "same-estimator"
        pair = [(case_id, name), (case_id, BASELINES[question])]
        if not name.startswith(PRODUCT) or pair[1] not in before.index:
            continue
        seconds = np.array([run.loc[key] for run in (before, after) for key in pair])
        timed = np.isfinite(seconds).all(axis=0)
        if timed.sum() > 1:
            rounds = len({repeat // per_round for repeat in before.columns[timed]})
            shifts[pair[0]] = statistics.shift(seconds[:2, timed], seconds[2:, timed], rounds)
    return shifts


def _tables(
    shifts: dict[_Key, statistics.Shift], base_s: "pd.Series[float]", new_s: "pd.Series[float]",
    allowed: float,
) -> tuple["pd.DataFrame", "pd.DataFrame"]:  # fmt: skip
    import pandas as pd

    pools: dict[tuple[str, str, str], list[statistics.Shift]] = {}
    for (case_id, name), shift in shifts.items():
        pools.setdefault((case_id.split("/")[0], task_of(case_id), name), []).append(shift)
    models, deviations, cases = [], [], []
    for pool, own in pools.items():
        if len(own) > 1:
            interval = statistics.pooled_interval(own)
            deviations += [shift.value - np.log(interval.ratio) for shift in own]
            verdict = statistics.verdict(interval.low, interval.high, allowed)
            models.append((*pool, len(own), *interval, verdict))
    spread = statistics.robust_spread(deviations)
    for key, shift in shifts.items():
        interval = statistics.single_interval(shift, spread, len(shifts))
        verdict = statistics.verdict(interval.low, interval.high, allowed)
        certain = verdict if verdict in ("slower", "faster") else ""
        cases.append((*key, base_s[key], new_s[key], *interval, certain))
    return (
        pd.DataFrame(models, columns=["model", "task", "implementation", "cases", *_JUDGED]),
        pd.DataFrame(cases, columns=[*_KEY, "base_s", "new_s", *_JUDGED]),
    )


def _machine(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes times of two runs incomparable."""
    cpu = {f"CPU {name}": value for name, value in (facts.get("cpu") or {}).items()}
    return (
        (facts.get("environment") or {})
        | cpu
        | {"memory": f"{(facts.get('memory_bytes') or 0) / 1e9:.0f} GB"}
    )


def _circumstances(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may explain a change."""
    commit = (facts.get("git") or {}).get("commit")
    return {"commit": commit, "status": facts.get("status")} | (facts.get("packages") or {})


def _differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {base.get(name, 'none')} in BASE, {new.get(name, 'none')} in NEW"
        for name in sorted(base.keys() | new.keys())
        if base.get(name) != new.get(name)
    ]
