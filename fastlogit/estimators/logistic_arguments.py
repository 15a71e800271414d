"""Arguments of LogisticRegression: which are its mini-batch solvers', what the kernels cover."""

from __future__ import annotations

import math
from typing import Any

from sklearn import get_config
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from fastlogit.estimators.plain import plain_number
from fastlogit.estimators.routing import is_nearly_dense, is_sparse
from fastlogit.estimators.sklearn_compat import (
    EARLY_STOPPING,
    EXACT_RESUME,
    N_THREADS,
    StrOptions,
)
from fastlogit.solvers.convergence import warn

# scikit-learn's solvers that the kernels cover; they work on all rows at once.
FULL_SOLVERS = ("lbfgs", "newton-cholesky", "newton-cg", "saga")
MINIBATCH_SOLVERS = ("sgd", "adam")
# Arguments of the mini-batch solvers, which mean what they mean to MLPClassifier.
MINIBATCH_ARGUMENTS = (
    "batch_size", "learning_rate", "learning_rate_init", "power_t", "momentum",
    "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "shuffle", "early_stopping",
    "validation_fraction", "n_iter_no_change",
)  # fmt: skip
CONSTRAINTS: dict[str, Any] = {
    **LogisticRegression._parameter_constraints,
    **{name: MLPClassifier._parameter_constraints[name] for name in MINIBATCH_ARGUMENTS},
    "solver": [
        *LogisticRegression._parameter_constraints["solver"],
        StrOptions(set(MINIBATCH_SOLVERS)),
    ],
    "n_threads": N_THREADS,
    "early_stopping": EARLY_STOPPING,
    "exact_resume": EXACT_RESUME,
}


def uncovered(estimator: Any, X: Any) -> str | None:
    """Return why the kernels do not cover a fit by a solver of scikit-learn's, None if they do."""
    est = estimator
    if est.solver not in FULL_SOLVERS:
        return f"solver={est.solver!r}, the kernels know {FULL_SOLVERS + MINIBATCH_SOLVERS}"
    if est.solver == "saga":
        if est.penalty != "deprecated" or not est.l1_ratio or math.isinf(est.C) or est.dual:
            return (
                f"penalty={est.penalty!r}, l1_ratio={est.l1_ratio!r}, C={est.C!r}, "
                f"dual={est.dual!r}; the kernels know 'saga' with l1_ratio > 0 and a finite C"
            )
    elif not _has_l2_penalty(est):
        return (
            f"penalty={est.penalty!r}, l1_ratio={est.l1_ratio!r}, dual={est.dual!r}; the kernels "
            "know the L2 penalty, or none by C=inf, in the primal"
        )
    if get_config()["array_api_dispatch"]:
        return "array_api_dispatch is on"
    if is_sparse(X) and est.solver != "lbfgs" and not (est.solver == "saga" and is_nearly_dense(X)):
        return f"X is sparse, which the kernels know solver='lbfgs' for, not {est.solver!r}"
    return None


def check_minibatch_arguments(estimator: Any) -> None:
    """Raise ValueError for arguments that the mini-batch solvers do not go with."""
    est = estimator
    if not _has_l2_penalty(est):
        raise ValueError(
            f"Solver {est.solver} supports only the L2 penalty, or none by C=inf, and dual=False, "
            f"got penalty={est.penalty!r}, l1_ratio={est.l1_ratio!r} and dual={est.dual!r}"
        )


def warn_of_deprecations(estimator: Any) -> None:
    """Warn of what scikit-learn warns of, where its own code does not run."""
    if estimator.penalty != "deprecated":
        warn(
            "'penalty' was deprecated in scikit-learn 1.8 and goes in 1.10; leave it out, the L2 "
            "penalty is the default",
            FutureWarning,
        )
    if estimator.n_jobs is not None:
        warn(
            "'n_jobs' has no effect since scikit-learn 1.8 and goes in 1.10; leave it out, got "
            f"n_jobs={estimator.n_jobs}",
            FutureWarning,
        )


def _has_l2_penalty(estimator: Any) -> bool:
    penalised = estimator.penalty in ("deprecated", "l2") and estimator.l1_ratio == 0
    return penalised and not estimator.dual


def has_plain_penalty(estimator: Any) -> bool:
    """Return whether what partial_fit reads besides MLPClassifier's arguments is plainly valid."""
    est = estimator
    return (
        plain_number(est.C)
        and est.C > 0
        and type(est.penalty) is str
        and est.penalty == "deprecated"
        and plain_number(est.l1_ratio)
        and est.l1_ratio == 0
        and est.dual is False
        and type(est.fit_intercept) is bool
        and est.n_jobs is None
    )


def has_partial_fit(estimator: Any) -> bool:
    """Return True, or raise AttributeError for a solver that has no partial_fit."""
    if estimator.solver not in MINIBATCH_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for the solvers 'sgd' and 'adam', not for "
            f"solver={estimator.solver!r}"
        )
    return True
