"""Going on exactly: what ``exact_resume`` keeps between calls, and takes up again.

scikit-learn's ``partial_fit`` seeds its generator anew at each call where ``random_state`` is an
integer, and begins each call with the rows in the order in which they lie; ``warm_start`` forgets
the optimizer's moments. With ``exact_resume`` a call goes on as if the one before had not ended.

A generator that is itself the argument goes on by itself and is stored with the arguments.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from fastlogit.estimators.optimizer_state import solver_of
from fastlogit.training.orders import LegacyOrders, generator_state, restore_generator

# The generator's state, and the row order that the next epoch shuffles.
KEPT = ("_generator_state", "_row_order")


def resumes(estimator: Any, *, incremental: bool) -> bool:
    """Return whether a call takes up what ``exact_resume`` keeps, if something is kept.

    A warm start after early stopping does not: it begins with the best parameters, which no state
    of the optimizer belongs to.
    """
    est = estimator
    return bool(est.exact_resume and (incremental or (est.warm_start and not est.early_stopping)))


def keeps_optimizer(estimator: Any, *, incremental: bool) -> bool:
    """Return whether a call goes on with the optimizer that there is."""
    if not hasattr(estimator, "_optimizer"):
        return False
    if incremental:
        return True
    same_solver = solver_of(estimator._optimizer) == estimator.solver
    return same_solver and resumes(estimator, incremental=False)


def take_up(estimator: Any, random_state: np.random.RandomState, *, incremental: bool) -> None:
    """Set a generator that an integer has seeded to where the last call left it."""
    if not (estimator.exact_resume and resumes(estimator, incremental=incremental)):
        forget(estimator)
        return
    state = estimator.__dict__.get("_generator_state")
    if state is not None and isinstance(estimator.random_state, Integral):
        restore_generator(random_state, state)


def refuse(estimator: Any, reason: str, *, incremental: bool) -> None:
    """Raise ValueError where going on would not be exact, since the kernels do not run."""
    if resumes(estimator, incremental=incremental):
        raise ValueError(
            "exact_resume=True goes on exactly on the kernels only, which do not run here: "
            f"{reason}"
        )
    forget(estimator)


def orders_of(
    estimator: Any, random_state: np.random.RandomState, n_rows: int
) -> LegacyOrders | None:
    """Return the row orders to come, None where the rows are taken as they lie.

    Where there are as many rows as in the last call they are taken for the same.
    """
    if not estimator.shuffle:
        return None
    order = estimator.__dict__.get("_row_order")
    if order is not None and order.size != n_rows:
        order = None
    return LegacyOrders(random_state, n_rows, order)


def keep(estimator: Any, random_state: np.random.RandomState, orders: LegacyOrders | None) -> None:
    """Keep for the next call where this one has come to."""
    if not estimator.exact_resume:
        return
    forget(estimator)
    if isinstance(estimator.random_state, Integral):
        estimator._generator_state = generator_state(random_state)
    if orders is not None:
        estimator._row_order = orders.order


def forget(estimator: Any) -> None:
    """Drop what is kept."""
    state = estimator.__dict__
    for name in KEPT:
        if name in state:
            del state[name]
