"""The state that a fit leaves for the next: the optimizer, the generator and the row order.

A fitted estimator keeps one of scikit-learn's optimizers in ``_optimizer``, from which both
scikit-learn's code and the kernels resume. Pickles hold it as plain arrays and scalars.

scikit-learn's ``partial_fit`` seeds its generator anew in each call where ``random_state`` is an
integer, and begins each call with the rows in their given order; ``warm_start`` resets the
optimizer's moments. With ``exact_resume`` a call continues as if the one before had not ended. A
RandomState passed as ``random_state`` continues by itself and is pickled with the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from fastlogit.estimators.sklearn_compat import AdamOptimizer, SGDOptimizer
from fastlogit.models import Floats
from fastlogit.training.orders import LegacyOrders, generator_state, restore_generator
from fastlogit.training.trainer import Trainer

OPTIMIZERS = {"sgd": SGDOptimizer, "adam": AdamOptimizer}
MOMENTS = {"sgd": ("velocities",), "adam": ("ms", "vs")}
# Attributes that exact_resume adds: the generator's state, and the order the next epoch shuffles.
SAVED_ATTRIBUTES = ("_generator_state", "_row_order")


def resumes_exactly(estimator: Any, *, incremental: bool) -> bool:
    """Return whether a call restores what ``exact_resume`` has saved, if anything.

    A warm start after early stopping does not: it begins with the best parameters, which no state
    of the optimizer belongs to.
    """
    est = estimator
    return bool(est.exact_resume and (incremental or (est.warm_start and not est.early_stopping)))


def refuse_exact_resume(estimator: Any, reason: str, *, incremental: bool) -> None:
    """Raise ValueError if the call has to resume exactly, which the kernels alone can do."""
    if resumes_exactly(estimator, incremental=incremental):
        raise ValueError(
            f"exact_resume=True is for fits on the kernels, which do not run here: {reason}"
        )
    discard(estimator)


def restore(estimator: Any, random_state: np.random.RandomState, *, incremental: bool) -> None:
    """Set a generator seeded by an integer to the state at the end of the last call."""
    if not (estimator.exact_resume and resumes_exactly(estimator, incremental=incremental)):
        discard(estimator)
        return
    state = estimator.__dict__.get("_generator_state")
    if state is not None and isinstance(estimator.random_state, Integral):
        restore_generator(random_state, state)


def row_orders(
    estimator: Any, random_state: np.random.RandomState, n_rows: int
) -> LegacyOrders | None:
    """Return the row orders of the next epochs, None where rows are not shuffled.

    Rows are assumed to be those of the last call if there are as many.
    """
    if not estimator.shuffle:
        return None
    order = estimator.__dict__.get("_row_order")
    if order is not None and order.size != n_rows:
        order = None
    return LegacyOrders(random_state, n_rows, order)


def save(estimator: Any, random_state: np.random.RandomState, orders: LegacyOrders | None) -> None:
    """Save the generator and the row order for the next call."""
    if not estimator.exact_resume:
        return
    discard(estimator)
    if isinstance(estimator.random_state, Integral):
        estimator._generator_state = generator_state(random_state)
    if orders is not None:
        estimator._row_order = orders.order


def discard(estimator: Any) -> None:
    """Delete what ``save`` has set."""
    state = estimator.__dict__
    for name in SAVED_ATTRIBUTES:
        if name in state:
            del state[name]


def reuses_optimizer(estimator: Any, *, incremental: bool) -> bool:
    """Return whether a call continues with the estimator's optimizer instead of a new one."""
    if not hasattr(estimator, "_optimizer"):
        return False
    if incremental:
        return True
    same_solver = solver_of(estimator._optimizer) == estimator.solver
    return same_solver and resumes_exactly(estimator, incremental=False)


def new_optimizer(estimator: Any, params: Sequence[Floats]) -> Any:
    """Return an optimizer with the estimator's settings and zero moments."""
    est = estimator
    if est.solver == "sgd":
        return SGDOptimizer(
            params, est.learning_rate_init, est.learning_rate, est.momentum,
            est.nesterovs_momentum, est.power_t,
        )  # fmt: skip
    return AdamOptimizer(params, est.learning_rate_init, est.beta_1, est.beta_2, est.epsilon)


def solver_of(optimizer: Any) -> str:
    """Return "sgd" or "adam" for an optimizer of scikit-learn's."""
    return "adam" if isinstance(optimizer, AdamOptimizer) else "sgd"


def optimizer_settings(optimizer: Any, solver: str) -> dict[str, float]:
    """Return the optimizer's hyperparameters under the trainer's names."""
    if solver == "adam":
        return {
            "learning_rate": optimizer.learning_rate_init,
            "beta_1": optimizer.beta_1,
            "beta_2": optimizer.beta_2,
            "epsilon": optimizer.epsilon,
        }
    return {
        "learning_rate": optimizer.learning_rate,
        "momentum": optimizer.momentum,
        "nesterov": optimizer.nesterov,
    }


def load_moments(trainer: Trainer, optimizer: Any, solver: str) -> None:
    """Copy the optimizer's moments and step count into the trainer."""
    flat = trainer.flat
    for row, name in zip(trainer.moments, MOMENTS[solver], strict=True):
        # Biases that are not trained have no moments here, and zeros in the optimizer.
        block = row if row.size == flat.flat.size else np.zeros_like(flat.flat)
        views = flat.parts(block)
        for view, values in zip([*views[::2], *views[1::2]], getattr(optimizer, name), strict=True):
            view[...] = values
        if block is not row:
            row[:] = block[: row.size]
    trainer.steps[0] = getattr(optimizer, "t", 0)


def store_moments(trainer: Trainer, optimizer: Any, solver: str) -> None:
    """Hand the trainer's moments and step count to the optimizer, after the last epoch."""
    flat, steps = trainer.flat, int(trainer.steps[0])
    for row, name in zip(trainer.moments, MOMENTS[solver], strict=True):
        block = row
        if row.size < flat.flat.size:
            block = np.zeros_like(flat.flat)
            block[: row.size] = row
        views = flat.parts(block)  # not copied, since the trainer no longer writes to its block
        setattr(optimizer, name, [*views[::2], *views[1::2]])
    if solver == "adam" and steps:
        optimizer.t = steps
        optimizer.learning_rate = (
            optimizer.learning_rate_init
            * np.sqrt(1 - optimizer.beta_2**steps)
            / (1 - optimizer.beta_1**steps)
        )


def optimizer_state(optimizer: Any) -> Any:
    """Return an optimizer of scikit-learn's as a dict of plain arrays, scalars and strings.

    Formats without code, such as skops, then need no trust in scikit-learn's optimizers.
    """
    if type(optimizer) not in OPTIMIZERS.values():
        return optimizer
    return {"solver": solver_of(optimizer), **vars(optimizer)}


def optimizer_from_state(state: Any) -> Any:
    """Return the optimizer of a dict from :func:`optimizer_state`; anything else as it is."""
    if type(state) is not dict:
        return state
    attributes = dict(state)
    cls = OPTIMIZERS[attributes.pop("solver")]
    optimizer = cls.__new__(cls)
    vars(optimizer).update(attributes)
    return optimizer
