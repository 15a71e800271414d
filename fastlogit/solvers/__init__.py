"""Minimisers of an objective over all rows, which know no estimator, and how they warn."""

import inspect
import warnings
from collections.abc import Callable

from sklearn.exceptions import ConvergenceWarning

from fastlogit.models import Floats

# An objective at flat parameters.
LossAndGradient = Callable[[Floats], tuple[float, Floats]]
# What minimises the model of a penalised objective: a step at parameters, their gradient and their
# penalties' strengths, to within a tolerance of a subgradient of 0.
StepAt = Callable[[Floats, Floats, Floats, float], Floats]
# A warning points at the first caller outside of these: the user's line, of a search or pipeline.
INNER_PACKAGES = {"fastlogit", "sklearn", "joblib"}


def warn(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn at the line that called into this package, or into scikit-learn around it."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in INNER_PACKAGES:
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
