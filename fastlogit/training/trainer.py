"""The training loop: epochs, batches, optimizer state, interrupts. Knows no model by name."""

import math
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from fastlogit.kernels.training.epoch import BLOCK_ROWS, CHAIN_BATCHES, Rule, Span, State
from fastlogit.kernels.training.in_place_sgd import FEW_ROWS
from fastlogit.models import BACKENDS, OPTIMIZERS, Floats, Indices, Model, Rows
from fastlogit.models.arrays import LayerParams, NetworkParams
from fastlogit.models.checks import finite
from fastlogit.training.threads import cut, estimate_seconds, team_size
from fastlogit.training.workspaces import Workspace

# Duration of a jitted call: between two of them Python handles Ctrl-C.
SLICE_SECONDS = 0.1
# Duration of one that several threads may make, before it is asked again whether that is faster,
# and of one that tries it.
SHARED_SECONDS, TRIAL_SECONDS = 0.02, 0.005
# Estimated duration of the first one.
FIRST_SECONDS = 1e-3


Params = TypeVar("Params", bound=LayerParams | NetworkParams)


@dataclass(frozen=True)
class TrainResult(Generic[Params]):
    """What :func:`fastlogit.train` returns.

    Attributes
    ----------
    params : LayerParams or NetworkParams
        The named tuple (W, b), or (W1, b1, W2, b2), each an array of its own.
    loss_curve : ndarray of shape (epochs,), float64
        Mean over an epoch's rows of the loss that their batch had before its step, the penalty
        included.
    n_steps : int
        Optimizer steps taken.
    """

    params: Params
    loss_curve: NDArray[np.float64]
    n_steps: int


class DivergenceError(ArithmeticError):
    """The training loss is no longer finite.

    Attributes
    ----------
    result : TrainResult
        The parameters before the epoch that diverged, and the loss up to then.
    """

    result: TrainResult[Any]


# A state of training that one assignment sets: all of it, or nothing.
Checkpoint = namedtuple("Checkpoint", "epochs theta moments steps")
# So many epochs, and what trains through them as Trainer.run_epochs does, given their losses.
Chunk = tuple[int, Callable[[NDArray[np.float64]], Iterator[int]]]
_blas = cache(ThreadpoolController)
NO_CONTEXT = nullcontext()


@contextmanager
def _numpy_context(n_threads: int) -> Iterator[None]:
    """Limit BLAS's threads; what overflows is reported once, later. The kernels need neither."""
    with _blas().limit(limits=n_threads, user_api="blas"), np.errstate(all="ignore"):
        yield


class Trainer:
    """A model in training: its parameters, the optimizer's state, and how to go on from them.

    The parameters given, which are copied, set the dtype. ``settings`` may name more than the
    optimizer reads. ``alpha`` is the factor of the penalty α/2 ‖w‖² on the weights, divided by the
    sum of a batch's weights if ``alpha_by_row``, as in scikit-learn's MLPClassifier. Without
    ``fit_bias`` biases stay. The result does not depend on ``n_threads``, which share batches.
    ``before_call``, which may raise, comes before each jitted call, of about a tenth of a second.

    ``flat`` are the parameters, ``moments`` (n_moments, n_trained) what the optimizer carries from
    step to step, ``steps`` (1,) the steps taken, ``checkpoint`` the state after the last epoch.
    """

    def __init__(
        self, model: Model, params: Sequence[Floats], *, solver: str,
        settings: Mapping[str, float], alpha: float, batch_size: int, alpha_by_row: bool = False,
        fit_bias: bool = True, backend: str = "numba", n_threads: int = 1, sparse: bool = False,
        before_call: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        code, optimizer, dtype = BACKENDS[backend], OPTIMIZERS[solver], params[0].dtype
        # What makes another trainer of the kind, in another process say.
        self.model = model
        self.arguments: dict[str, Any] = {
            "solver": solver, "settings": settings, "alpha": alpha, "batch_size": batch_size,
            "alpha_by_row": alpha_by_row, "fit_bias": fit_bias, "backend": backend,
            "n_threads": n_threads, "sparse": sparse,
        }  # fmt: skip
        shapes = tuple([array.shape for array in params])
        self._workspace = space = Workspace.take(code, shapes, dtype, batch_size, sparse)
        self.flat = space.params
        self.flat.assign(params)
        theta, n_weights = self.flat.flat, self.flat.n_weights
        n_trained = theta.size if fit_bias else n_weights
        self.moments = np.zeros((optimizer.n_moments, n_trained), dtype)
        self.steps = np.zeros(1, np.int64)
        self._state = State(theta[:n_trained], self.moments, self.steps)
        self._settings = np.array([float(settings[name]) for name in optimizer.settings])
        is_plain = fit_bias and optimizer.is_plain(settings)
        in_place, step = is_plain and alpha == 0 and not sparse, optimizer.code(code, dtype)
        self._rule = Rule(step, self._settings, n_weights, float(alpha), alpha_by_row, in_place)
        self.batch_size, self._n_threads, self._before_call = batch_size, n_threads, before_call
        # About how long one thread takes for a batch, and how many a call processes.
        self._per_batch, self._slice_batches = 0.0, 0
        self._gradients = space.gradients
        self._backend, self._record = code, model.record(code, dtype)
        fused = is_plain and sparse and batch_size <= BLOCK_ROWS
        self._run_batches = code.run_sparse_sgd if fused else code.run_batches
        is_shared = code.jitted and n_threads > 1
        self._pool = space.threads(team_size(n_threads, batch_size) if is_shared else 1)
        self.mark()

    def release(self) -> None:
        """Leave parameters and gradients, but not the moments, to the next trainer of the shape."""
        self._workspace.release()
        del self._workspace, self.flat, self._state, self._gradients, self._pool

    @property
    def learning_rate(self) -> float:
        """Learning rate of the steps to come."""
        return float(self._settings[0])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._settings[0] = value

    def rewind(self) -> None:
        """Go back to the checkpoint."""
        point = self.checkpoint
        self.flat.flat[...] = point.theta
        self.moments[...], self.steps[...] = point.moments, point.steps

    def mark(self, epochs: int = 0) -> None:
        """Make the present state the checkpoint, reached after so many epochs."""
        self.checkpoint = Checkpoint(
            epochs, self.flat.flat.copy(), self.moments.copy(), self.steps.copy()
        )

    def run_epochs(self, rows: Rows, orders: Indices, losses: NDArray[np.float64]) -> Iterator[int]:
        """Train on the rows once for each row of orders; yield how many epochs are done by now.

        At each yield, and after an interrupt, the state is the checkpoint. The iteration ends after
        the last epoch with finite loss and parameters. Orders (epochs, n) may be of some rows only;
        without columns they take all as they lie. OUT: losses (epochs,), zeros; see
        :class:`TrainResult`.
        """
        batches = -(-(orders.shape[1] or rows.y.size) // self.batch_size)
        earlier, done, theta = self.checkpoint.epochs, 0, self.flat.flat
        multiply_adds = rows.multiply_adds(self.flat.n_weights)
        self._per_batch = estimate_seconds(self.batch_size, multiply_adds, rows.row_bytes)
        if self._slice_batches == 0:
            first = 0.0 if self._pool.is_shared else min(FIRST_SECONDS, SLICE_SECONDS)
            self._slice_batches = max(int(first / self._per_batch), 1)
        try:
            while done < len(orders):
                end = min(done + max(self._slice_batches // batches, 1), len(orders))
                self._run_slices(rows, orders, done * batches, end * batches, losses)
                if not (finite(losses[done:end]) and finite(theta)):
                    n_finite = int(np.argmin([*np.isfinite(losses[done : end - 1]), False]))
                    # A loss is that before a step: the parameters may have gone an epoch earlier.
                    for last in range(done + n_finite, done - 1, -1):
                        self.rewind()
                        ignored = np.zeros(len(orders))
                        self._run_slices(rows, orders, done * batches, last * batches, ignored)
                        if finite(theta):
                            break
                    self.mark(earlier + last)
                    yield last
                    return
                self.mark(earlier + end)
                done = end
                yield done
        except KeyboardInterrupt:
            self.rewind()
            raise

    def _run_slices(
        self, rows: Rows, orders: Indices, start: int, end: int, losses: NDArray[np.float64]
    ) -> None:
        """Run batches in calls of about SLICE_SECONDS: between two, Python sees Ctrl-C."""
        jitted, size, per_batch = self._backend.jitted, self.batch_size, self._per_batch
        data, taken = rows.data(jitted=jitted), orders.shape[1] or rows.y.size
        batches = -(-taken // size)
        with NO_CONTEXT if jitted else _numpy_context(self._n_threads):
            while start < end:
                stop = min(start + self._slice_batches, end)
                if self._pool.is_trial:
                    stop = min(stop, start + math.ceil(TRIAL_SECONDS / per_batch))
                # Batches of a few rows are trained on in chains, one of many rows in several calls.
                if size <= FEW_ROWS and self._rule.in_place and stop < end:
                    epoch = (stop - 1) // batches * batches
                    chains = max(
                        (stop - epoch) // CHAIN_BATCHES, (start - epoch) // CHAIN_BATCHES + 1
                    )
                    stop = min(epoch + min(chains * CHAIN_BATCHES, batches), end)
                calls: Sequence[tuple[int, ...]] = [()]  # the first and the last block of each
                if stop == start + 1 and jitted and size > BLOCK_ROWS:
                    n_rows = min(size, taken - start % batches * size)
                    calls = cut(n_rows, rows.multiply_adds(self.flat.n_weights))
                began = time.perf_counter()
                expected = per_batch * (stop - start) / len(calls)
                run = self._pool.bind(self._run_batches, expected)
                for blocks in calls:
                    if self._before_call is not None:
                        self._before_call()
                    run(
                        self._record, self.flat.named, self._state, self._gradients, self._rule,
                        data, orders, size, Span(start, stop, *blocks), losses,
                    )  # fmt: skip
                # A slice of whole epochs is rarely the longest allowed, a last one short.
                if 2 * (stop - start) >= self._slice_batches:
                    seconds = max(time.perf_counter() - began, 1e-9)
                    longest = SHARED_SECONDS if self._pool.is_shared else SLICE_SECONDS
                    growth = min(max(longest / seconds, 0.25), 16)
                    self._slice_batches = max(int((stop - start) * growth), 1)
                start = stop


def train_epochs(
    trainer: Trainer, chunks: Iterable[Chunk], epochs: int,
    callback: Callable[[int, float, Any], Any] | None,
) -> TrainResult[Any]:  # fmt: skip
    """Train through chunks of epochs, with a callback after each.

    A DivergenceError, and a KeyboardInterrupt, carry the ``result`` of the last whole epoch.
    """
    losses = np.zeros(epochs)
    try:
        done = trainer.checkpoint.epochs
        for n_epochs, run in chunks:
            end = done + n_epochs
            for _ in run(losses[done:end]):
                pass
            done = trainer.checkpoint.epochs
            if done < end:
                raise DivergenceError(
                    f"the loss or the parameters are no longer finite in epoch {done} at "
                    f"learning_rate={trainer.learning_rate:g}; a smaller one, or features scaled "
                    "to unit variance, may help"
                )
            loss = float(losses[done - 1])
            if callback is not None and callback(done - 1, loss, trainer.flat.copies()):
                break
    except (DivergenceError, KeyboardInterrupt) as error:
        trainer.rewind()
        error.result = _result(trainer, losses)  # type: ignore[union-attr]
        raise
    return _result(trainer, losses)


def _result(trainer: Trainer, losses: NDArray[np.float64]) -> TrainResult[Any]:
    curve = losses[: trainer.checkpoint.epochs].copy()
    return TrainResult(trainer.flat.copies(), curve, int(trainer.steps[0]))
