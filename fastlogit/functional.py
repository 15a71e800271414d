"""The public functions: checks of the arguments, then one call into the trainer or a backend."""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import product, repeat
from typing import Any, overload

import numpy as np
from scipy.sparse import csr_array

from fastlogit.kernels.full_batch.moments import column_moments
from fastlogit.models import ACTIVATIONS, BACKENDS, MODELS, OPTIMIZERS, Floats, Model, Rows
from fastlogit.models import checks as check
from fastlogit.models.arrays import LayerParams, NetworkParams, as_writable_view
from fastlogit.names import (
    ActivationName,
    BackendName,
    LayerName,
    ModelName,
    NetworkName,
    SolverName,
    check_name,
)
from fastlogit.sources import Labels, Partition, Source
from fastlogit.training.objective import (
    Objective,
    has_nan_rows,
    is_extreme,
    predict,
    predict_classes,
)
from fastlogit.training.orders import FreshOrders, LegacyOrders, epochs_ahead
from fastlogit.training.row_stream import RowStream, check_shuffled, distance_of_shares, run_epoch
from fastlogit.training.trainer import DivergenceError, Trainer, TrainResult, train_epochs

# A training whose loss ends at so many times that of equal probabilities has diverged.
FAR_ABOVE = 10


# The model's name tells a type checker which parameters there are.
@overload
def loss_and_gradient(
    model: LayerName, params: Any, X: Any, y: Any, *, alpha: float = ..., sample_weight: Any = ...,
    activation: ActivationName = ..., backend: BackendName = ...,
) -> tuple[float, LayerParams]: ...  # fmt: skip
@overload
def loss_and_gradient(
    model: NetworkName, params: Any, X: Any, y: Any, *, alpha: float = ...,
    sample_weight: Any = ..., activation: ActivationName = ..., backend: BackendName = ...,
) -> tuple[float, NetworkParams]: ...  # fmt: skip
def loss_and_gradient(
    model: ModelName, params: Any, X: Any, y: Any, *, alpha: float = 0.0,
    sample_weight: Any = None, activation: ActivationName = "logistic",
    backend: BackendName = "numba",
) -> tuple[float, Any]:  # fmt: skip
    """Compute a model's loss over the rows of X, and its gradient in every parameter.

    The formulas and their derivation stand in ``fastlogit/kernels``, one file per model.

    Parameters
    ----------
    model : {"logistic", "softmax", "mlp-logistic", "mlp-softmax"}
        Which model.
    params : tuple of array_like
        (W, b) or (W1, b1, W2, b2): weights (fan_in, fan_out), biases (fan_out,). Cast to X's dtype.
    X : array_like or SciPy's sparse matrix or array of shape (n, D)
        Rows. float32 stays float32, all else becomes float64; sparse rows stay sparse, in CSR form.
    y : array_like of shape (n,)
        Class indices 0..K−1; 0 and 1 for a binary model.
    alpha : float
        Adds alpha/2 times the sum of the squared weights (not biases) to the mean loss.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows; the loss is the weighted mean.
    activation : str
        Activation of a network's hidden layer, one of ``fastlogit.models.ACTIVATIONS``.
    backend : {"numba", "numpy"}
        Jitted kernels or the NumPy reference: the same steps, equal to rounding.

    Returns
    -------
    loss : float
        Mean loss, summed in float64.
    gradient : named tuple of ndarray
        Arrays shaped like params, of X's dtype.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, its value and what is allowed.

    Examples
    --------
    With all parameters at zero every class has probability 1/2, and the loss is log 2:

    >>> import fastlogit
    >>> X, y = [[1.0, 2.0], [3.0, -1.0]], [0, 1]
    >>> loss, gradient = fastlogit.loss_and_gradient("logistic", ([[0.0], [0.0]], [0.0]), X, y)
    >>> round(loss, 6)
    0.693147
    >>> gradient.W.ravel().tolist()
    [-0.5, 0.75]
    """
    spec = _model(model, activation, backend)
    matrix = _matrix(X, backend)
    arrays = check.params_like(spec, params, matrix.shape[1], matrix.dtype)
    indices = check.labels(y, matrix.shape[0], spec.n_classes(arrays))
    rows = Rows(matrix, indices, check.row_weights(sample_weight, matrix.shape[0], matrix.dtype))
    objective = Objective(spec, arrays, rows, check.real("alpha", alpha, "[0, inf)"), backend)
    result = objective.evaluate(), objective.gradient.copies()
    if not check.finite(objective.gradient.flat):
        check.matrix("X", X)
    objective.release()
    return result


def predict_proba(
    model: ModelName, params: Any, X: Any, *, activation: ActivationName = "logistic",
    backend: BackendName = "numba",
) -> Floats:  # fmt: skip
    """Compute the class probabilities of the rows of X.

    Parameters
    ----------
    model, params, X, activation, backend : see :func:`loss_and_gradient`

    Returns
    -------
    proba : ndarray of shape (n, K), or (n, 2) for a binary model
        Rows sum to 1; of X's dtype.

    Examples
    --------
    >>> import fastlogit
    >>> proba = fastlogit.predict_proba("logistic", ([[1.0]], [0.0]), [[0.0], [2.0]])
    >>> proba.round(4).tolist()
    [[0.5, 0.5], [0.1192, 0.8808]]
    """
    spec = _model(model, activation, backend)
    matrix = check.matrix("X", X) if spec.has_hidden else _matrix(X, backend)
    arrays = check.params_like(spec, params, matrix.shape[1], matrix.dtype)
    proba = predict(spec, arrays, matrix, backend)
    if is_extreme(proba):
        check.matrix("X", X)
        if has_nan_rows(proba):
            row = int(np.isnan(proba).any(axis=1).argmax())
            largest = max(abs(array).max() for array in arrays)
            raise ValueError(
                f"the logits of row {row} of X overflow {matrix.dtype}: X holds numbers up to "
                f"{abs(matrix).max():g}, params up to {largest:g}; their products must be finite"
            )
    return proba


@overload
def train(
    model: LayerName, X: Any, y: Any = ..., params: Any = ..., *, hidden: int | None = ...,
    solver: SolverName = ..., learning_rate: float = ..., momentum: float = ...,
    nesterov: bool = ..., beta_1: float = ..., beta_2: float = ..., epsilon: float = ...,
    alpha: float = ..., batch_size: int = ..., epochs: int = ..., order: Any = ...,
    sample_weight: Any = ..., random_state: Any = ..., n_threads: int = ...,
    activation: ActivationName = ..., backend: BackendName = ...,
    callback: Callable[[int, float, LayerParams], Any] | None = ...,
) -> TrainResult[LayerParams]: ...  # fmt: skip
@overload
def train(
    model: NetworkName, X: Any, y: Any = ..., params: Any = ..., *, hidden: int | None = ...,
    solver: SolverName = ..., learning_rate: float = ..., momentum: float = ...,
    nesterov: bool = ..., beta_1: float = ..., beta_2: float = ..., epsilon: float = ...,
    alpha: float = ..., batch_size: int = ..., epochs: int = ..., order: Any = ...,
    sample_weight: Any = ..., random_state: Any = ..., n_threads: int = ...,
    activation: ActivationName = ..., backend: BackendName = ...,
    callback: Callable[[int, float, NetworkParams], Any] | None = ...,
) -> TrainResult[NetworkParams]: ...  # fmt: skip
def train(
    model: ModelName, X: Any, y: Any = None, params: Any = None, *, hidden: int | None = None,
    solver: SolverName = "sgd", learning_rate: float = 0.1, momentum: float = 0.0,
    nesterov: bool = False, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
    alpha: float = 0.0, batch_size: int = 32, epochs: int = 1, order: Any = None,
    sample_weight: Any = None, random_state: Any = None, n_threads: int = 1,
    activation: ActivationName = "logistic", backend: BackendName = "numba",
    callback: Callable[[int, float, Any], Any] | None = None,
) -> TrainResult[Any]:  # fmt: skip
    """Train a model over mini-batches.

    Parameters
    ----------
    model, X, y, activation, backend : see :func:`loss_and_gradient`
        Over sparse X the cost of a step of plain SGD (no momentum, batches of up to 256 rows) is
        that of its non-zeros; others also pass over the parameters. X may be a source, from
        :func:`scan`, whose labels are class indices; y and sample_weight then are None. Files
        whose rows the first epoch finds sorted by class are refused with a ValueError.
    params : tuple of array_like, optional
        Where to start: (W, b) or (W1, b1, W2, b2); never changed. Drawn from random_state if None,
        uniformly from ±√(f / (fan_in + fan_out)), f the activation's init_factor, or 2 if none.
    hidden : int, optional
        Hidden units of a network whose params are to be drawn.
    solver : {"sgd", "adam"}
        Optimizer; "sgd" reads momentum and nesterov, "adam" beta_1, beta_2 and epsilon.
    learning_rate : float
        Step size. The default suits "sgd" on features of unit variance; "adam" wants about 0.001.
    momentum, nesterov : float, bool
        Share of the last step that the next one keeps, in [0, 1]; whether to look ahead along it.
    beta_1, beta_2, epsilon : float
        Decay of Adam's first and second moment, in [0, 1), and the addend to the second's root.
    alpha : float
        Adds alpha/2 times the sum of the squared weights (not biases) to every batch's mean loss.
    batch_size, epochs : int
        Rows of a batch, of which the last of an epoch may have fewer, and passes over the rows.
    order : array_like of shape (epochs, n), optional
        Row indices of each epoch in the order to train on; drawn from random_state if None.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows; a batch's loss is the weighted mean. A batch without any is skipped.
    random_state : None, int, numpy Generator or RandomState
        Source of what is drawn: first the parameters, then the seed of the orders.
    n_threads : int
        Threads that share batches of more than 256 rows. In the kernels the result does not depend
        on it; in the NumPy backend they are BLAS's.
    callback : callable, optional
        Called after each epoch with (epoch from 0, loss, a copy of the params). A true return value
        ends the training.

    Returns
    -------
    TrainResult
        With ``params``, ``loss_curve`` and ``n_steps``.

    Warns
    -----
    RuntimeWarning
        When the loss stays finite but ends far above that of equal probabilities and of params.
    UserWarning
        When y has no rows of a class below its largest, which then gets an output all the same.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, its value and what is allowed, before anything runs.
    DivergenceError
        When the loss is no longer finite, naming epoch and learning rate. It carries ``result``,
        with the parameters before that epoch; so does the KeyboardInterrupt of a Ctrl-C.

    Examples
    --------
    >>> import fastlogit
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> result = fastlogit.train("logistic", X, y, batch_size=2, epochs=50, random_state=0)
    >>> fastlogit.predict_proba("logistic", result.params, X).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    spec = _model(model, activation, backend)
    check_name("solver", solver, OPTIMIZERS)
    numbers = (
        learning_rate, momentum, nesterov, beta_1, beta_2, epsilon, alpha, epochs, batch_size,
        n_threads,
    )  # fmt: skip
    try:
        hash(numbers)
        check_all: Any = _checked_settings
    except TypeError:
        check_all = _checked_settings.__wrapped__
    settings, alpha, epochs, batch_size, n_threads = check_all(*numbers)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback={callback!r} must be callable or None")
    if type(X) is not np.ndarray and isinstance(X, Source):
        for name, value in (("y", y), ("sample_weight", sample_weight), ("order", order)):
            if value is not None:
                raise ValueError(f"{name} must be None where X is a source, got {value!r:.40}")
        if not X.n_rows:
            raise ValueError("X has no rows")
        _check_settings(alpha, solver, settings, X.dtype)
        return _train_source(
            spec, X, params, hidden, epochs, callback, check.random_generator(random_state),
            solver=solver, settings=settings, alpha=alpha, batch_size=min(batch_size, X.n_rows),
            backend=backend, n_threads=n_threads, sparse=X.sparse,
        )  # fmt: skip
    # Without these the first epoch reads all rows, and nobody sees what comes of it.
    reads_all = order is None and sample_weight is None and callback is None
    matrix = _matrix(X, backend) if reads_all else check.matrix("X", X)
    (n_rows, n_features), dtype = matrix.shape, matrix.dtype
    batch_size = min(batch_size, n_rows)
    _check_settings(alpha, solver, settings, dtype)
    generator = check.random_generator(random_state)
    if params is None:
        indices = check.labels(y, n_rows, 2 if spec.binary else None)
        counts = np.bincount(indices)
        generator = np.random.default_rng() if generator is None else generator
        params = _drawn_params(spec, n_features, hidden, counts, dtype, generator)
    else:
        if hidden is not None:
            raise ValueError(f"hidden={hidden!r} must be None where params are given")
        params = check.params_like(spec, params, n_features, dtype)
        indices = check.labels(y, n_rows, spec.n_classes(params))
    rows = Rows(matrix, indices, check.row_weights(sample_weight, n_rows, dtype))
    if order is None:
        drawn = FreshOrders(generator, n_rows)
        chunk = 1 if callback is not None else epochs_ahead(n_rows)
        orders = (drawn.draw(min(chunk, epochs - i)) for i in range(0, epochs, chunk))
    else:
        given = as_writable_view(check.row_order(order, epochs, n_rows))
        chunk = 1 if callback is not None else epochs
        orders = (given[i : i + chunk] for i in range(0, epochs, chunk))
    trainer = Trainer(
        spec, params, solver=solver, settings=settings, alpha=alpha, batch_size=batch_size,
        backend=backend, n_threads=n_threads, sparse=rows.sparse,
    )  # fmt: skip
    chunks = ((len(chunk), partial(trainer.run_epochs, rows, chunk)) for chunk in orders)
    try:
        result = train_epochs(trainer, chunks, epochs, callback)
    except DivergenceError:
        check.matrix("X", X)
        raise
    trainer.release()
    loss, guess = float(result.loss_curve[-1]), math.log(spec.n_classes(params))
    high = loss > FAR_ABOVE * guess
    if high and loss > Objective(spec, params, rows, alpha, backend).evaluate():
        text = (
            f"training diverged at learning_rate={learning_rate:g}: the loss of the last epoch is "
            f"{loss:.2g}, equal probabilities have {guess:.2g}; a smaller learning rate, or "
            "features scaled to unit variance, may help"
        )
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return result


@lru_cache(64, typed=True)  # of numbers that were valid once in their types
def _checked_settings(
    learning_rate: Any, momentum: Any, nesterov: Any, beta_1: Any, beta_2: Any, epsilon: Any,
    alpha: Any, epochs: Any, batch_size: Any, n_threads: Any,
) -> tuple[dict[str, float], float, int, int, int]:  # fmt: skip
    """Return an optimizer's settings, and the other numbers that train takes, after checks."""
    settings = {
        "learning_rate": check.real("learning_rate", learning_rate, "(0, inf)"),
        "momentum": check.real("momentum", momentum, "[0, 1]"),
        "nesterov": check.boolean("nesterov", nesterov),
        "beta_1": check.real("beta_1", beta_1, "[0, 1)"),
        "beta_2": check.real("beta_2", beta_2, "[0, 1)"),
        "epsilon": check.real("epsilon", epsilon, "(0, inf)"),
    }
    return (
        settings, check.real("alpha", alpha, "[0, inf)"), check.integer("epochs", epochs, 1),
        check.integer("batch_size", batch_size, 1, 2**63 - 1),
        check.integer("n_threads", n_threads, 1),
    )  # fmt: skip


def _check_settings(alpha: float, solver: str, settings: dict[str, Any], dtype: Any) -> None:
    """Refuse settings that the dtype of X cannot hold."""
    check.fits("alpha", alpha, dtype)
    for name in ("learning_rate", "epsilon"):
        if name in OPTIMIZERS[solver].settings:
            check.fits(name, settings[name], dtype)


def _drawn_params(
    spec: Model, n_features: int, hidden: Any, counts: Any, dtype: Any, generator: Any
) -> tuple[Floats, ...]:
    """Return initial parameters for rows with so many of each class."""
    if not (spec.binary or counts.all()):
        missing = f"no rows of class {counts.argmin()}, but some of class {counts.size - 1}"
        text = f"y has {missing}: the model gets an output for each; {check.AS_INDICES}"
        warnings.warn(text, stacklevel=3)
    if (hidden is None) == spec.has_hidden:
        layer = f"{spec.name!r}, which has {'a' if spec.has_hidden else 'no'} hidden layer"
        allowed = "an integer of at least 1" if spec.has_hidden else "None"
        raise ValueError(f"hidden={hidden!r} must be {allowed} for {layer}")
    n_hidden = None if hidden is None else check.integer("hidden", hidden, 1)
    n_outputs = spec.n_outputs(max(counts.size, 2))
    return spec.initial_params(n_features, n_hidden, n_outputs, dtype, generator)


def _train_source(
    spec: Model, source: Source, params: Any, hidden: Any, epochs: int,
    callback: Callable[[int, float, Any], Any] | None, generator: Any, **arguments: Any,
) -> TrainResult[Any]:  # fmt: skip
    """Train on the rows of a source, which a first pass counts by class if params are drawn."""
    n_features, dtype = source.n_features, source.dtype
    generator = np.random.default_rng() if generator is None else generator
    if params is None:
        counts: Counter[int] = Counter()
        for part in source:
            y = _rows_of(part, n_classes=2 if spec.binary else check.MAX_CLASSES).y
            counts.update(dict(enumerate(np.bincount(y).tolist())))
        by_class = np.array([counts[k] for k in range(max(counts, default=0) + 1)])
        params = _drawn_params(spec, n_features, hidden, by_class, dtype, generator)
    elif hidden is not None:
        raise ValueError(f"hidden={hidden!r} must be None where params are given")
    params = check.params_like(spec, params, n_features, dtype)
    trainer = Trainer(spec, params, **arguments)
    n_classes, is_first, by_part = spec.n_classes(params), True, list[Any]()

    def encode(part: Partition) -> Rows:
        rows = _rows_of(part, n_classes=n_classes)
        if is_first and rows.y.size:
            by_part.append(np.bincount(rows.y, minlength=n_classes))
        return rows

    def run(losses: Any) -> Iterator[int]:
        nonlocal is_first
        for number in run_epoch(trainer, stream, losses):
            if is_first and by_part:
                check_shuffled(distance_of_shares(np.array(by_part)))
            is_first = False
            yield number

    stream = RowStream(source, encode, trainer.batch_size, generator)
    result = train_epochs(trainer, repeat((1, run), epochs), epochs, callback)
    if result.n_steps == 0:
        raise ValueError("the weights of X sum to 0; one row at least must have a positive weight")
    return result


def _rows_of(part: Partition, *, n_classes: int) -> Rows:
    """Return the rows of a partition, whose labels are class indices."""
    X, y, weight = part
    if y is None:
        raise ValueError("X has no target; name its column, or pass labels, to scan")
    if isinstance(y, Labels):
        y = y.values[y.codes]
    if not check.finite_matrix(X):
        raise ValueError("X must be finite, got NaN or infinity")
    indices = check.labels(y, X.shape[0], n_classes)
    if weight is not None and not (check.finite(weight) and weight.min() >= 0):
        held = f"{weight.min():g} to {weight.max():g}"
        raise ValueError(f"the weights of X must be finite and at least 0, got {held}")
    return Rows(X, indices, np.empty(0, X.dtype) if weight is None else weight)


def warmup(*, sparse: bool = False) -> None:
    """Compile every kernel for both dtypes, or load it from the cache, ahead of the first fits.

    Parameters
    ----------
    sparse : bool
        Whether to compile those for sparse X too, which takes as long again.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.warmup()
    """
    dense, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    LegacyOrders(np.random.RandomState(0), len(dense)).draw(1)
    for spec, dtype in product(MODELS.values(), (np.float32, np.float64)):
        column_moments(dense.astype(dtype), *np.zeros((3, 2)))
        for optimizer in OPTIMIZERS.values():
            optimizer.code(BACKENDS["numba"], dtype)
        for activation in ACTIVATIONS:
            spec.with_activation(activation).record(BACKENDS["numba"], dtype)
        hidden = 1 if spec.has_hidden else None
        for X in [dense.astype(dtype), csr_array(dense, dtype=dtype)][: 1 + sparse]:
            name: Any = spec.name
            params = train(name, X, y, hidden=hidden, random_state=0).params
            loss_and_gradient(name, params, X, y)
            predict_proba(name, params, X)
            predict_classes(spec, params, X)


def _model(name: str, activation: str, backend: str) -> Model:
    """Return the model with its activation, after a check of all three names."""
    check_name("model", name, MODELS)
    check_name("activation", activation, ACTIVATIONS)
    check_name("backend", backend, BACKENDS)
    return MODELS[name].with_activation(activation)


def _matrix(X: Any, backend: str) -> Any:
    """Return X as a matrix, which may hold NaN or infinity where the kernels' results will tell.

    A gradient is not finite then, since it is a sum of all elements times their rows' slopes; nor
    without a hidden layer is a logit of such a row, so that one of its probabilities is 0 or NaN.
    """
    is_left = BACKENDS[backend].jitted and check.is_plain_array(X)
    return X if is_left else check.matrix("X", X)
