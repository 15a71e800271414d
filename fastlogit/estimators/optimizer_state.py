"""The optimizer's state between fits: scikit-learn's objects, the trainer's block, plain arrays.

A fitted estimator keeps in ``_optimizer`` one of scikit-learn's optimizers, which so can go on from
what the kernels did, and the kernels from it. In a file it is plain arrays and scalars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastlogit.estimators.sklearn_compat import AdamOptimizer, SGDOptimizer
from fastlogit.models import Floats
from fastlogit.training.trainer import Trainer

OPTIMIZERS = {"sgd": SGDOptimizer, "adam": AdamOptimizer}
MOMENTS = {"sgd": ("velocities",), "adam": ("ms", "vs")}


def new_optimizer(estimator: Any, params: Sequence[Floats]) -> Any:
    """Return an optimizer at rest, with the estimator's settings."""
    est = estimator
    if est.solver == "sgd":
        return SGDOptimizer(
            params, est.learning_rate_init, est.learning_rate, est.momentum,
            est.nesterovs_momentum, est.power_t,
        )  # fmt: skip
    return AdamOptimizer(params, est.learning_rate_init, est.beta_1, est.beta_2, est.epsilon)


def solver_of(optimizer: Any) -> str:
    """Return the solver whose optimizer it is."""
    return "adam" if isinstance(optimizer, AdamOptimizer) else "sgd"


def settings_of(optimizer: Any, solver: str) -> dict[str, float]:
    """Return the optimizer's hyper-parameters as the trainer names them."""
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


def load(trainer: Trainer, optimizer: Any, solver: str) -> None:
    """Have the trainer go on from the optimizer's state."""
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


def store(trainer: Trainer, optimizer: Any, solver: str) -> None:
    """Leave the trainer's state in the optimizer; the trainer has to be done."""
    flat, steps = trainer.flat, int(trainer.steps[0])
    for row, name in zip(trainer.moments, MOMENTS[solver], strict=True):
        block = row
        if row.size < flat.flat.size:
            block = np.zeros_like(flat.flat)
            block[: row.size] = row
        views = flat.parts(block)  # the trainer leaves its block to them
        setattr(optimizer, name, [*views[::2], *views[1::2]])
    if solver == "adam" and steps:
        optimizer.t = steps
        optimizer.learning_rate = (
            optimizer.learning_rate_init
            * np.sqrt(1 - optimizer.beta_2**steps)
            / (1 - optimizer.beta_1**steps)
        )


class PlainState:
    """Has an estimator's state in files be of plain arrays, scalars and strings.

    Files that hold no code, skops' say, so need no trust in scikit-learn's optimizers.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, the optimizer as a dict, without what belongs to a running fit."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        state.pop("_fit_call", None)
        optimizer = state.get("_optimizer")
        if type(optimizer) in OPTIMIZERS.values():
            state["_optimizer"] = {"solver": solver_of(optimizer), **vars(optimizer)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the attributes and make the optimizer anew."""
        kept = state.get("_optimizer")
        if type(kept) is dict:
            attributes = dict(kept)
            cls = OPTIMIZERS[attributes.pop("solver")]
            optimizer = cls.__new__(cls)
            vars(optimizer).update(attributes)
            state = {**state, "_optimizer": optimizer}
        super().__setstate__(state)  # type: ignore[misc]
