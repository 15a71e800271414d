"""Warnings of a fit that stopped before its optimum."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

# A warning points at the first caller outside of these: the user's line, of a search or pipeline.
INNER_PACKAGES = {"fastlogit", "sklearn", "joblib"}
SCALING = "https://scikit-learn.org/stable/modules/preprocessing.html"


def warn(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn at the line that called into this package, or into scikit-learn around it."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_back is not None and _is_inner(frame.f_globals):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_inner(module: dict[str, Any]) -> bool:
    return str(module.get("__name__", "")).partition(".")[0] in INNER_PACKAGES


def lbfgs_not_converged(result: Any, n_iter: int, max_iter: int) -> str:
    """Return scikit-learn's text for what SciPy's L-BFGS-B returned, and the gradient there."""
    text = (
        f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
        f"{result.message}\n"
    )
    if n_iter == max_iter:
        text += (
            f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
        )
    return (
        f"{text}\nYou might also want to scale the data as shown in:\n    {SCALING}\n"
        f"The gradient's largest element is {np.max(np.abs(result.jac)):.0e}."
    )
