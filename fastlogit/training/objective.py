"""A model's loss over given rows as a function of its flat parameters."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastlogit.kernels.layers.sparse import Csr, csr
from fastlogit.kernels.training.epoch import BLOCK_ROWS, Rule, Span
from fastlogit.kernels.training.optimizers import NO_STEP
from fastlogit.models import BACKENDS, Floats, Indices, Model, Rows, arrange, as_writable_view
from fastlogit.models.arrays import matrix_for_kernels
from fastlogit.models.checks import finite
from fastlogit.models.table import Backend
from fastlogit.training.threads import WORTH_SHARING, by_rows, cut, estimate_seconds, team_size
from fastlogit.training.workspaces import MOST_BYTES, Workspace, give_back, take

NO_SETTINGS, IN_ORDER = np.zeros(1), np.empty((1, 0), np.intp)


class Objective:
    """Mean loss over the rows plus α/2 ‖w‖², with its gradient: what a batch optimizer minimises.

    ``params``, a copy of those given, is where it is evaluated, and ``gradient`` what comes of it,
    both in the rows' dtype. In the kernels n_threads threads share the rows, to the same result.
    ``loss`` is the last loss, None where it is not that of the present params and gradient;
    ``seconds`` is about how long one thread takes for it.
    """

    def __init__(
        self, model: Model, params: Sequence[Floats], rows: Rows, alpha: float,
        backend: str = "numba", n_threads: int = 1,
    ) -> None:  # fmt: skip
        code, dtype, n_rows = BACKENDS[backend], rows.X.dtype, rows.y.size
        shapes = tuple([array.shape for array in params])
        self._space = space = Workspace.take(code, shapes, dtype, n_rows, rows.sparse)
        self.params, self.gradient, n_weights = space.params, space.gradient, space.params.n_weights
        self.params.assign(params)
        self.loss: float | None = None
        self._loss, self._alpha = np.zeros(1), float(alpha)
        # One batch of all rows as they lie, and no step after it.
        rule = Rule(NO_STEP, NO_SETTINGS, n_weights, float(alpha), False, False)
        arguments = (
            model.record(code, dtype), self.params.named, space.state, space.gradients, rule,
            rows.data(jitted=code.jitted), IN_ORDER, n_rows,
        )  # fmt: skip
        multiply_adds = rows.multiply_adds(n_weights)
        spans = cut(n_rows, multiply_adds) if code.jitted else [(0, 1)]
        self._calls = [(*arguments, Span(0, 1, *blocks), self._loss) for blocks in spans]
        is_shared = code.jitted and n_threads > 1
        pool = space.threads(team_size(n_threads, n_rows) if is_shared else 1)
        self.seconds = estimate_seconds(n_rows, multiply_adds, rows.row_bytes)
        self._run_batches = pool.bind(code.run_batches, self.seconds / len(spans))
        self._alone = pool.alone if code.jitted and self.seconds < WORTH_SHARING else None

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at theta, flat parameters, and its gradient, flat too."""
        self.params.flat[...] = theta
        loss = self.evaluate()
        return loss, self.gradient.flat.copy()

    def evaluate(self) -> float:
        """Return the loss at ``params`` and leave its gradient in ``gradient``."""
        self._loss[0] = 0
        for arguments in self._calls:
            self._run_batches(*arguments)
        self.loss = loss = float(self._loss[0])
        return loss

    def release(self) -> None:
        """Leave the workspace, params and gradient with it, to the next objective of the shape."""
        self._space.release()
        del self._space, self.params, self.gradient, self._calls, self._run_batches

    @property
    def short_call(self) -> tuple[Any, ...] | None:
        """The arguments of ``run_batches`` for an evaluation that one thread makes in one call."""
        if self._alone is None or len(self._calls) > 1:
            return None
        return (self._alone, *self._calls[0])

    def change_alpha(self, alpha: float) -> None:
        """Set the penalty's factor; a loss and gradient that are known stay so, without a pass."""
        change, self._alpha = alpha - self._alpha, float(alpha)
        if change == 0:
            return
        if self.loss is not None:
            weights = self.params.flat[: self.params.n_weights]
            self.gradient.flat[: weights.size] += change * weights
            self.loss += change / 2 * float(np.vdot(weights, weights))
        rule = self._calls[0][4]._replace(alpha=self._alpha)
        self._calls = [(*call[:4], rule, *call[5:]) for call in self._calls]


def predict(
    model: Model, params: Sequence[Floats], X: Any, backend: str = "numba", n_threads: int = 1
) -> Floats:
    """Return the class probabilities of the rows of X for parameters of X's dtype."""
    code = BACKENDS[backend]
    proba = np.empty((X.shape[0], model.n_classes(params)), X.dtype)
    _fill(code, code.predict_proba, model, params, X, proba, n_threads)
    return proba


def predict_classes(
    model: Model, params: Sequence[Floats], X: Any, backend: str = "numba", n_threads: int = 1
) -> Indices | None:
    """Return the indices of the most probable classes, or None if a logit is not finite.

    A dense row of X that is not finite has none that is, in a model without a hidden layer.
    """
    code, classes = BACKENDS[backend], np.empty(X.shape[0], np.intp)
    checks = _fill(code, code.predict_classes, model, params, X, classes, n_threads)
    return classes if sum(checks) == 0 else None


def _fill(
    code: Backend, function: Callable[..., Any], model: Model, params: Sequence[Floats], X: Any,
    out: NDArray[Any], n_threads: int,
) -> list[Any]:  # fmt: skip
    """Call the backend's function for slices of the rows; return its results. OUT: out."""
    n_rows, sparse = X.shape[0], type(X) is not np.ndarray and bool(issparse(X))
    results: list[Any] = []
    layout = code.name, sparse, X.dtype, tuple([array.shape for array in params])
    named = arrange(params, transposed=code.transposes(len(params), sparse))
    record, multiply_adds = model.record(code, X.dtype), sum([a.size for a in params[::2]])
    row_bytes = X.nnz / n_rows * (X.dtype.itemsize + 4) if sparse else X.strides[0]
    if code.jitted:
        X = csr(*matrix_for_kernels(X)) if sparse else as_writable_view(X)

    def fill(rows: slice) -> None:
        count = rows.stop - rows.start
        key = layout, min(count, BLOCK_ROWS)
        buffers: Any = take(key, lambda: None)
        is_small = buffers is not None  # as all that are kept
        if buffers is None:
            buffers = code.allocate(named, count, sparse)
            is_small = code.jitted and sum([array.nbytes for array in buffers.work]) <= MOST_BYTES
        if isinstance(X, Csr):  # its rows are views, without a copy
            taken: Any = X._replace(indptr=X.indptr[rows.start : rows.stop + 1])
        else:
            taken = X[rows]
        results.append(function(buffers, record, named, taken, out[rows]))
        if is_small:
            give_back(key, buffers)

    by_rows(n_threads, fill, n_rows, multiply_adds, row_bytes)
    return results


def has_nan_rows(proba: Floats) -> bool:
    """Return whether the logits of a row overflowed: all its probabilities then are NaN."""
    if len(proba) == 1:  # spares one row's prediction a twentieth of its time
        return math.isnan(proba.item(0))
    return not finite(proba[:, 0])


def is_extreme(proba: Floats) -> bool:
    """Return whether a probability is 0 or NaN, as of a row whose logits are not all finite."""
    if len(proba) == 1:
        return not min(proba[0].tolist()) > 0
    return not np.minimum.reduce(proba, axis=None) > 0
