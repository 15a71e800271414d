"""The training loop: epochs, batches, optimizer state, interrupts. Knows no model by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from fastlogit.models import BACKENDS, FlatParams, Floats, Indices, Model, Rows

# A jitted call of about this long, then Python looks for Ctrl-C.
SLICE_SECONDS = 0.1


@dataclass(frozen=True)
class Solver:
    """An optimizer as data.

    Attributes
    ----------
    optimizer : int
        Its number in both backends' ``optimizers.update``.
    moments : int
        Arrays like the parameters that it carries from step to step.
    settings : tuple of str
        Its hyper-parameters, in the order in which its function reads them.
    """

    optimizer: int
    moments: int
    settings: tuple[str, ...]


SOLVERS: dict[str, Solver] = {
    "sgd": Solver(0, 1, ("learning_rate", "momentum", "nesterov")),
    "adam": Solver(1, 2, ("learning_rate", "beta_1", "beta_2", "epsilon")),
}


class DivergenceError(ArithmeticError):
    """The training loss is no longer finite.

    Attributes
    ----------
    result : TrainResult
        The parameters before the epoch that diverged, and the loss up to then.
    """

    result: TrainResult


@dataclass(frozen=True)
class TrainResult:
    """What :func:`fastlogit.train` returns.

    Attributes
    ----------
    params : named tuple of ndarray
        (W, b), or (W1, b1, W2, b2), each an array of its own.
    loss_curve : ndarray of shape (epochs,), float64
        Mean over an epoch's rows of the loss that their batch had before its step, the penalty
        included.
    n_steps : int
        Optimizer steps taken.
    """

    params: Any
    loss_curve: NDArray[np.float64]
    n_steps: int


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class Trainer:
    """A model in training: its parameters, the optimizer's state, and how to go on from them.

    Parameters
    ----------
    model : Model
        The model to train.
    params : sequence of ndarray
        Its initial parameters, all of one dtype, float32 or float64; they are copied.
    solver : {"sgd", "adam"}
        The optimizer.
    settings : dict of str to float
        The solver's hyper-parameters by name; what it does not have is passed over.
    alpha : float
        Factor of the penalty α/2 ‖w‖² on the weights, not the biases.
    alpha_by_row : bool
        Divide alpha by the sum of a batch's weights, as scikit-learn's MLPClassifier does.
    batch_size : int
        Rows of a batch; the last of an epoch may have fewer.
    backend : {"numba", "numpy"}
        Which code runs.
    n_threads : int
        Threads of a matrix product.

    Attributes
    ----------
    flat : FlatParams
        The parameters.
    moments : ndarray of shape (n_moments, n_params)
        What the optimizer carries from step to step.
    steps : ndarray of shape (1,)
        Steps taken.
    learning_rate : float
        Of the steps to come.
    """

    def __init__(
        self,
        model: Model,
        params: Sequence[Floats],
        *,
        solver: str,
        settings: Mapping[str, float],
        alpha: float,
        batch_size: int,
        alpha_by_row: bool = False,
        backend: str = "numba",
        n_threads: int = 1,
    ) -> None:
        dtype = params[0].dtype
        shapes = tuple(array.shape for array in params)
        self.solver = SOLVERS[solver]
        self.flat = FlatParams(model, backend, shapes, dtype)
        self.flat.assign(params)
        self.moments = np.zeros((self.solver.moments, self.flat.flat.size), dtype)
        self.steps = np.zeros(1, np.int64)
        self._gradient = FlatParams(model, backend, shapes, dtype)
        self._settings = np.array([float(settings[name]) for name in self.solver.settings])
        self._alpha, self._alpha_by_row = float(alpha), alpha_by_row
        self._batch_size = batch_size
        self._run_batches = BACKENDS[backend].run_batches
        self._blas_limit = n_threads if backend == "numpy" else None
        self._slice_batches = 1

    @property
    def learning_rate(self) -> float:
        """Learning rate of the steps to come."""
        return float(self._settings[0])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._settings[0] = value

    @property
    def state(self) -> tuple[NDArray[Any], ...]:
        """All that training changes, as copies; :meth:`restore` goes back to it."""
        return self.flat.flat.copy(), self.moments.copy(), self.steps.copy()

    def restore(self, state: tuple[NDArray[Any], ...]) -> None:
        """Go back to an earlier state."""
        for array, earlier in zip((self.flat.flat, self.moments, self.steps), state, strict=True):
            array[...] = earlier

    def run_epochs(self, rows: Rows, orders: Indices, losses: NDArray[np.float64]) -> Iterator[int]:
        """Train on the rows once for each row of orders; yield how many epochs are done by now.

        An interrupt leaves the state of the last yield. Where the loss is no longer finite the
        iteration ends early, with the state of the last epoch that was.

        Parameters
        ----------
        rows : Rows
            The training data.
        orders : ndarray of shape (epochs, n) or (epochs, 0)
            Row indices in each epoch's order; without columns the rows are taken as they lie.
        losses : ndarray of shape (epochs,), zeros
            OUT: mean over the rows of the loss that their batch had before its step, the penalty
            included.
        """
        batches = -(-rows.y.size // self._batch_size)
        done = 0
        while done < len(orders):
            before = self.state
            end = min(done + max(self._slice_batches // batches, 1), len(orders))
            try:
                with self._threads():
                    self._run_slices(rows, orders, done * batches, end * batches, losses)
            except KeyboardInterrupt:
                self.restore(before)
                raise
            finite = np.isfinite(losses[done:end])
            if not (finite.all() and np.isfinite(self.flat.flat).all()):
                last = done + int(np.argmin(finite)) if not finite.all() else end - 1
                self.restore(before)
                self._run_slices(
                    rows, orders, done * batches, last * batches, np.zeros(len(orders))
                )
                yield last
                return
            done = end
            yield done

    def _threads(self) -> AbstractContextManager[Any]:
        """Hold BLAS to the threads asked for; the kernels' products are not BLAS's."""
        if self._blas_limit is None:
            return nullcontext()
        limits: AbstractContextManager[Any] = _blas().limit(
            limits=self._blas_limit, user_api="blas"
        )
        return limits

    def _run_slices(
        self, rows: Rows, orders: Indices, start: int, end: int, losses: NDArray[np.float64]
    ) -> None:
        """Run batches in calls of about SLICE_SECONDS: between two, Python sees Ctrl-C."""
        while start < end:
            stop = min(start + self._slice_batches, end)
            began = time.perf_counter()
            self._run_batches(
                self.flat.named, self._gradient.named, self.flat.flat, self._gradient.flat,
                self.flat.n_weights, self.moments, self.steps, self.solver.optimizer,
                self._settings, rows.X, rows.y, rows.weight, orders, self._batch_size, start, stop,
                self._alpha, self._alpha_by_row, losses,
            )  # fmt: skip
            if stop - start == self._slice_batches:
                seconds = max(time.perf_counter() - began, 1e-9)
                growth = min(max(SLICE_SECONDS / seconds, 0.25), 16)
                self._slice_batches = max(int(self._slice_batches * growth), 1)
            start = stop


def train_epochs(
    trainer: Trainer,
    rows: Rows,
    orders: Iterable[Indices],
    epochs: int,
    callback: Callable[[int, float, Any], Any] | None,
) -> TrainResult:
    """Train through chunks of orders, (epochs of the chunk, n) each, and return what came of it.

    The callback comes after each chunk.

    Raises
    ------
    DivergenceError
        After an epoch with a loss that is not finite.
    KeyboardInterrupt
        As it came in. Like a DivergenceError it carries ``result``, that of the last whole epoch.
    """
    losses = np.zeros(epochs)
    done = 0

    def result() -> TrainResult:
        return TrainResult(trainer.flat.copies(), losses[:done].copy(), int(trainer.steps[0]))

    try:
        for chunk in orders:
            first, end = done, done + len(chunk)
            for whole in trainer.run_epochs(rows, chunk, losses[first:end]):
                done = first + whole
            if done < end:
                raise DivergenceError(
                    f"the training loss became {losses[done]} in epoch {done} at learning_rate="
                    f"{trainer.learning_rate:g}; a smaller one, or features scaled to unit "
                    "variance, may help"
                )
            if callback is not None and callback(
                done - 1, float(losses[done - 1]), trainer.flat.copies()
            ):
                break
    except (DivergenceError, KeyboardInterrupt) as error:
        error.result = result()  # type: ignore[union-attr]
        raise
    return result()
