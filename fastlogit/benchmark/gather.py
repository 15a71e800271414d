"""The limit of a linear model's epoch: fetching its rows, and doing nothing with them."""

from __future__ import annotations

import time

import numpy as np

from fastlogit.benchmark.problem import Problem
from fastlogit.models import MODELS

__all__ = ["gather_bound", "gather_seconds"]


def gather_bound(model: str) -> bool:
    """Whether a model does so little with a row that fetching it is what takes the time."""
    return not MODELS[model].has_hidden


def gather_seconds(problem: Problem, repeats: int = 5) -> float:
    """Measure NumPy's gather of the problem's rows, in the order and as often as training does.

    Parameters
    ----------
    problem : Problem
        The rows and their order in every epoch.
    repeats : int, default=5
        The best of so many counts, as for the machine's other limits.

    Returns
    -------
    float
        Seconds that all epochs take together.
    """
    buffer = np.empty_like(problem.X)
    times = []
    for _ in range(repeats + 1):  # the first one touches the pages
        start = time.perf_counter()
        for order in problem.order:
            np.take(problem.X, order, axis=0, out=buffer)
        times.append(time.perf_counter() - start)
    return min(times[1:])
