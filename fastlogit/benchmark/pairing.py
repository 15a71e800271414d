"""What two runs have in common, and what keeps them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from fastlogit.benchmark.runs import StoredRun

__all__ = [
    "Failure",
    "Pair",
    "Pairing",
    "differences",
    "host_shifts",
    "machine_differences",
    "pair",
]

_CPU = {
    "name": "processor",
    "llvm_name": "processor's LLVM name",
    "simd_bits": "SIMD bits",
    "fma": "fused multiply-add",
    "cores": "usable cores",
}

# Kernel versions reserve a little more or less of the same memory.
_SAME_MEMORY = 0.02


@dataclass(frozen=True)
class Pair:
    """The times of one contender in one cell of both runs.

    Attributes
    ----------
    cell_id, model, impl : str
        Which.
    threads : int
        What the cell was held to.
    base, new : Series
        Times by repeat.
    """

    cell_id: str
    model: str
    impl: str
    threads: int
    base: pd.Series[float]
    new: pd.Series[float]


@dataclass(frozen=True)
class Failure:
    """A contender that was all right in a cell of BASE and is not in NEW."""

    cell_id: str
    impl: str
    status: str
    error: str


@dataclass(frozen=True)
class Pairing:
    """The cells and contenders of two runs.

    Attributes
    ----------
    pairs : list of Pair
        Timed in both, sorted by cell and contender.
    failures : list of Failure
        Timed in BASE, and measured in NEW without a time that counts.
    only_base, only_new : list of (str, str)
        Cell and contender of which the other run has no row at all.
    """

    pairs: list[Pair]
    failures: list[Failure]
    only_base: list[tuple[str, str]]
    only_new: list[tuple[str, str]]


def pair(base: StoredRun, new: StoredRun) -> Pairing:
    """Put the rows of two runs side by side."""
    ours, theirs = (_groups(run.timings) for run in (base, new))
    pairs, failures = [], []
    for key in sorted(ours.keys() & theirs.keys()):
        before, after = ours[key], theirs[key]
        bad = after[after["status"] != "ok"]
        if (before["status"] != "ok").any():
            continue
        if len(bad):
            error = bad["error"].iloc[-1]
            text = error if isinstance(error, str) else ""
            failures.append(Failure(*key, bad["status"].iloc[-1], text))
            continue
        first = before.iloc[0]
        times = (rows.set_index("repeat")["time_s"].sort_index() for rows in (before, after))
        pairs.append(Pair(key[0], first["model"], key[1], int(first["threads"]), *times))
    return Pairing(
        pairs, failures, sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    )


def _groups(timings: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    return {
        (str(cell), str(impl)): rows
        for (cell, impl), rows in timings.groupby(["cell_id", "impl"], sort=False)
    }


def machine_differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say what makes the machines of two runs different, from their run.json; nothing if not.

    The processor, the memory and the variables that steer threads, BLAS and code generation count;
    where caches are kept does not.
    """
    found = _changed(
        *(
            {name: (run.get("cpu") or {}).get(key) for key, name in _CPU.items()}
            for run in (base, new)
        )
    )
    before: Any = base.get("memory_bytes")
    after: Any = new.get("memory_bytes")
    known = before is not None and after is not None
    if before != after and not (known and np.isclose(before, after, rtol=_SAME_MEMORY)):
        found.append(f"memory: {_gigabytes(before)} against {_gigabytes(after)}")
    variables = (
        {f"variable {k}": v for k, v in (run.get("environment") or {}).items() if "CACHE" not in k}
        for run in (base, new)
    )
    return found + _changed(*variables)


def differences(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say what else differs between two runs and may explain their times: it is only listed."""
    found = []
    for run, name in ((base, "BASE"), (new, "NEW")):
        if run.get("status") != "complete":
            found.append(f"{name} is {run.get('status')}: only the cells that it measured count")
    found += _changed(base.get("packages", {}), new.get("packages", {}))
    if base.get("thread_pools") and new.get("thread_pools"):  # a killed run does not say
        found += _changed(_blas(base), _blas(new))
    found += _changed(*({"commit": (run.get("git") or {}).get("commit")} for run in (base, new)))
    # The contender whose turn comes before warms the caches, or sweeps them.
    configs = (run.get("config", {}) for run in (base, new))
    return found + _changed(
        *({name: config.get(name) for name in ("impls", "repeats")} for config in configs)
    )


def _blas(facts: Mapping[str, Any]) -> dict[str, str]:
    kinds = (
        f"{pool['internal_api']} {pool['version']} for {pool['architecture']}"
        for pool in facts["thread_pools"]
        if pool["user_api"] == "blas"
    )
    return {"BLAS": ", ".join(sorted(kinds))}


def _changed(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {_text(base.get(name))} against {_text(new.get(name))}"
        for name in sorted(base.keys() | new.keys())
        if base.get(name) != new.get(name)
    ]


def _text(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"


def host_shifts(
    base: Mapping[str, Any], new: Mapping[str, Any], threads: int
) -> NDArray[np.float64]:
    """Give the logarithms by which the host's own limits took longer in NEW than in BASE.

    Parameters
    ----------
    base, new : mapping
        What run.json says.
    threads : int
        Whose calibration counts. The gathers of the linear models' rows count at any number:
        NumPy makes them with one.

    Returns
    -------
    ndarray
        One for each limit measured in both: products, reading memory, gathers.
    """
    taken = []
    for run in (base, new):
        rates = [rates for rates in run.get("calibration", ()) if rates["threads"] == threads]
        limits = rates[0] if rates else {}
        seconds = {name: 1 / rate for name, rate in limits.items() if name != "threads"}
        taken.append(seconds | (run.get("gather_s") or {}))
    before, after = taken
    return np.array([np.log(after[name] / before[name]) for name in sorted(before.keys() & after)])
