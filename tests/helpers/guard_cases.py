"""What the trials of ``guard_trials.py`` run: primitives and entry points on drawn arrays."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numba
import numpy as np
from guard_pages import SIDES
from scipy.sparse import csr_array, issparse
from sklearn.base import clone

import fastlogit
from fastlogit.kernels.codegen import output_layer, row_products, tiles, transposition
from fastlogit.kernels.codegen.compile import prepare_compiler
from fastlogit.kernels.codegen.output_layer import ROWS
from fastlogit.kernels.codegen.simd import NEAR_BYTES, VECTOR_BYTES
from fastlogit.kernels.full_batch import hessian as curvature
from fastlogit.kernels.full_batch.coordinate_descent import descend
from fastlogit.kernels.full_batch.hessian import fill_curvature, hessian_product
from fastlogit.kernels.layers import dense as dense_layers
from fastlogit.kernels.layers import output_losses
from fastlogit.kernels.layers import sparse as sparse_layers
from fastlogit.kernels.training import optimizers, shuffle
from fastlogit.kernels.training.epoch import BLOCK_ROWS
from fastlogit.kernels.training.in_place_sgd import logistic_batches, logistic_rows
from fastlogit.models import ACTIVATIONS, MODELS, OPTIMIZERS
from fastlogit.reference import models as plain_layers

# What rounding may make of a result, by the bytes of an item.
ACCURACY = {4: 2e-4, 8: 1e-9}
EITHER = (False, True)
# Batches of so few rows are not drawn where there are so many: an epoch would take long.
FEW, MANY_ROWS = (1, 2, 7, 32), 10_000


class Call(NamedTuple):
    """A function and its arguments, some of which it fills.

    plain is to return and to fill the same, except for arguments that are spent, by number.
    """

    name: str
    run: Callable[..., Any]
    args: tuple[Any, ...]
    plain: Callable[..., Any] | None = None
    spent: tuple[int, ...] = ()


@cache
def jitted(function):
    prepare_compiler()
    return numba.njit(error_model="numpy")(lambda args: function(*args))


def primitive(function, *args, plain=None, spent=()):
    """Return a call of what only kernels can call; without a plain function its body is that."""
    compiled = jitted(function)
    compiled.compile((numba.typeof(args),))  # ahead of the fork, once for all trials
    return Call(function.__name__, lambda *args: compiled(args), args, plain or function, spent)


class Draw:
    """What a seed says."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.side = self.one_of(*SIDES)
        self.dtype = np.dtype(self.one_of(np.float32, np.float64))

    def one_of(self, *values):
        return values[self.rng.integers(len(values))]

    def size(self, most):
        """Draw from 1 to most, half of the time next to whole vectors."""
        size = int(self.rng.integers(1, most + 1))
        return min(max(self.one_of(size, size // 8 * 8 + self.one_of(-1, 0, 1)), 1), most)

    def floats(self, *shape):
        return self.rng.normal(size=shape).astype(self.dtype)

    def unset(self, *shape):
        return np.full(shape, np.nan, self.dtype)

    def weight(self, n, none):
        return self.one_of(none, self.rng.uniform(0.1, 2, n).astype(self.dtype))

    def numbers(self, n, count):
        """Draw row numbers, the last row's among them."""
        numbers = self.rng.integers(n, size=count)
        numbers[self.rng.integers(count)] = n - 1
        return numbers


def of_tiles(draw):
    n, columns, inner = draw.size(60), draw.size(200), draw.size(70)
    pitch, start, far = columns + draw.one_of(0, 3), draw.one_of(-1, 0), draw.one_of(*EITHER)
    b, c, X = (draw.floats((rows - 1) * pitch + columns) for rows in (inner, n, 99))
    a, W, bias = draw.floats(n, inner), draw.floats(columns, inner), draw.floats(columns)
    strides = draw.one_of((inner, 1), (1, n))
    init = draw.one_of((c, start, pitch), (bias, start, 0))
    numbers, rows = draw.numbers(99, inner + draw.size(9)), draw.numbers(n, n + draw.size(9))
    yield primitive(tiles.product, a, *strides, b, pitch, *init, n, columns, inner, c, pitch)
    yield primitive(
        tiles.product_with_rows, a, 1, n, X, pitch, numbers, start, n, columns, inner, c
    )  # fmt: skip
    args = rows, rows.size, far, inner, b, pitch, bias, n, columns, inner, c, pitch
    yield primitive(tiles.rows_product, a, *args)
    args = rows, inner, c, pitch, start, inner, columns, n, b, pitch
    yield primitive(tiles.transposed_product, a, *args)
    shape = n, columns, inner, draw.unset(n, columns)
    yield primitive(tiles.dots, a, W, bias, *shape)
    yield primitive(tiles.dots_of_rows, a, rows, rows.size, far, W, bias, *shape)


def of_sparse_rows(draw):
    width, D, count = draw.size(130), draw.size(50), draw.one_of(0, 1, draw.size(40))
    values, d, W = draw.floats(count), draw.floats(width), draw.floats(D, width)
    columns = draw.numbers(D, max(count, 1))[:count].astype(np.uint32)
    yield primitive(
        row_products.sparse_row_product, values, columns, count, W, width, draw.unset(width)
    )
    for tracked in EITHER:
        args = values, columns, count, 0.3, d, width, tracked, np.ones(1), W
        yield primitive(row_products.add_sparse_row, *args)


def of_single_rows(draw):
    n, D, H = draw.size(40), draw.size(200), draw.size(150)
    lanes = VECTOR_BYTES // draw.dtype.itemsize
    padded = np.zeros((H, -(-D // lanes) * lanes), draw.dtype)
    padded[:, :D] = draw.floats(H, D)
    X, W, b, d = draw.floats(n, D), draw.floats(D, H), draw.floats(H), draw.floats(1, H)
    (row, following), w = draw.numbers(n, 2).tolist(), padded[0].copy()
    yield primitive(
        row_products.update_and_forward_hidden, X, row, following, d, W, b, D, H, draw.unset(1, H)
    )
    yield primitive(
        row_products.update_and_forward_linear, X, row, following, padded, len(padded.T), b, D, H, d
    )
    yield primitive(row_products.row_dot, X, row, w)
    yield primitive(row_products.rows_dot, X, row, following)
    yield primitive(row_products.add_row, X, row, draw.dtype.type(0.5), w)
    y, work, order = draw.rng.integers(2, size=n), draw.unset(w.size), draw.numbers(n, 60)
    yield primitive(logistic_rows, X, y, order, 0.01, work, *W.T[:1].copy(), b[:1])
    batch = draw.one_of(*range(2, 9))
    yield primitive(logistic_batches, X, y, order, batch, 0.01, work, *W.T[:1].copy(), b[:1])


def of_output_losses(draw):
    n, K = draw.size(600), 1 + draw.size(19)
    K = K if n > 1 else 8 * K  # a single row's logits have memory up to multiples of eight
    z, Z, weight = draw.floats(n, 1), draw.floats(n, K), draw.weight(n, draw.floats(0))
    y, labels = draw.rng.integers(2, size=n), draw.rng.integers(K, size=n)
    for name, args, spent in (
        ("logistic_loss", (z, y, weight, 0.25), ()),
        ("softmax_loss", (Z, labels, weight, 0.25), ()),
        ("logistic_proba", (z, draw.unset(n, 2)), ()),
        ("softmax_proba", (Z, draw.unset(n, K)), (0,)),
    ):
        plain = getattr(plain_layers, name)
        yield primitive(getattr(output_losses, name), *args, plain=plain, spent=spent)
    by_class = [draw.floats(*output_losses.shape_by_class(classes, n)) for classes in (K, 1)]
    yield primitive(output_losses.softmax_loss_by_class, by_class[0], labels, weight, 0.25)
    yield primitive(output_losses.logistic_loss_by_class, by_class[1], y, weight, 0.25)


def of_updates(draw):
    size, steps = draw.size(2000), np.ones(1, np.int64)
    theta, grad, squares = draw.floats(size), draw.floats(size), draw.floats(2, size) ** 2
    sgd = 0.1, draw.one_of(0.0, 0.9), draw.one_of(0.0, 1.0)
    for name, settings in (("sgd", sgd), ("adam", (0.1, 0.9, 0.999, 0.1))):
        moments = squares[: OPTIMIZERS[name].n_moments].copy()
        args, plain = (theta, grad, moments, steps, np.array(settings)), OPTIMIZERS[name].reference
        yield primitive(OPTIMIZERS[name].kernels, *args, plain=plain, spent=(1,))
    yield primitive(optimizers.l2_penalty, theta, 0.3, grad)
    hidden = squares / squares.max()
    for activation in ACTIVATIONS.values():
        yield primitive(activation.kernels[0], hidden, plain=activation.reference[0])


def of_output_layers(draw):
    n, H, K = draw.size(99), draw.size(90), draw.size(12)
    K = K if n > 1 else 8 * K
    _, pitch = shape = output_losses.shape_by_class(K, n)
    hidden, Wt, b = draw.floats(-(-n // ROWS) * ROWS, H), draw.floats(K, H), draw.floats(K)
    logits = draw.floats(*shape)
    yield primitive(output_layer.dots_by_output, hidden, Wt, b, n, K, H, logits, pitch)
    yield primitive(output_layer.add_classes, logits, pitch, n, K, draw.one_of(*EITHER), b)
    if n > 1:
        X, numbers = draw.floats(n, H), draw.numbers(n, n + draw.size(9))
        args = numbers, numbers.size, draw.one_of(*EITHER), Wt, b, n, K, H, logits, pitch
        yield primitive(output_layer.dots_of_rows_by_output, X, *args)
    hidden = draw.rng.random((n, H)).astype(draw.dtype)
    grads = draw.floats(K, H), draw.floats(H), draw.floats(K), draw.unset(n, H)
    start = draw.floats(draw.one_of(0, 1))
    for _, gradient in (activation.kernels for activation in ACTIVATIONS.values()):
        yield primitive(gradient, logits, Wt, hidden, start, *grads)


def of_dense_layers(draw):
    n, inner, columns = draw.size(99), draw.size(40), draw.one_of(0, 1024) + draw.size(200)
    panel, batch = draw.one_of(32, 32 * inner, columns * inner), draw.size(99)
    X, b, bias = draw.floats(n, inner), draw.floats(inner, columns), draw.floats(columns)
    numbers, work = draw.numbers(n, batch + draw.size(9)), draw.unset(panel)
    out, d = draw.unset(batch, columns), draw.floats(batch, columns)
    yield primitive(dense_layers.by_panels, X, numbers, False, b, bias, 0, work, out)
    start = draw.one_of(-1, 0)
    yield primitive(dense_layers.by_panels, X, numbers, True, d, bias, start, work, b)
    yield primitive(dense_layers.add_rows, X, draw.one_of(*EITHER), draw.floats(inner))


def of_sparse_layers(draw):
    X = draw_rows(draw, sparse=True)
    (n, D), outputs, batch = X.shape, draw.one_of(1, draw.size(70)), draw.size(300)
    csr = X.data, X.indices.astype(np.uint32), X.indptr.astype(np.int64)
    numbers, tracked = draw.numbers(n, batch + draw.size(9)), draw.one_of(0, 1)
    W, b, d_out = draw.floats(D, outputs), draw.floats(outputs), draw.floats(batch, outputs)

    def product(data, indices, indptr, numbers, far, factor, W, b, out):
        out[...] = factor * (X[numbers[:batch]] @ W) + b

    def add_product(data, indices, indptr, numbers, d_out, scaling, W):
        W += scaling[sparse_layers.BACKWARD] * (X[numbers[:batch]].T @ d_out)

    far, out, scaling = draw.one_of(*EITHER), draw.unset(batch, outputs), [1, 0.3, 0, tracked]
    args = *csr, numbers, far, 0.3, W, b, out
    yield primitive(sparse_layers.csr_product, *args, plain=product)
    args = *csr, numbers, d_out, np.array(scaling), W
    yield primitive(sparse_layers.add_csr_product, *args, plain=add_product, spent=(5,))


def second_derivatives(Wt, b, X, weight, V, u):
    """Return the Hessian and its product with (V, u), which has to be that of its own kernels."""
    (K, D), dtype, scale = Wt.shape, X.dtype, 1 / len(X)
    buffers = curvature.hessian_buffers(D, K, K, dtype)
    width, H = curvature.panel_width(D, len(buffers.border), dtype), np.empty((K * D + K,) * 2)
    curvature.hessian(Wt, b, X, weight, scale, width, 0.0, 0.0, buffers, H)
    kept, changes = np.empty((len(X), K), dtype), np.empty((min(len(X), BLOCK_ROWS), K), dtype)
    out = np.empty_like(V), np.empty_like(u)
    fill_curvature(Wt, b, X, weight, scale, kept)
    hessian_product(kept, X, weight, scale, V, u, changes, *out)
    product = H @ np.append(V, u)
    np.testing.assert_allclose(np.append(*out), product, rtol=0, atol=ACCURACY[dtype.itemsize])
    return H, out


def of_second_derivatives(draw):
    X, K = draw_rows(draw, widest=50), draw.one_of(1, 1 + draw.size(6))
    n, D = X.shape
    params, vector = ((draw.floats(K, D), draw.floats(K)) for _ in range(2))
    args = *params, X, draw.weight(n, draw.floats(0)), *vector
    yield Call("second_derivatives", second_derivatives, args)


def descended(H, gradient, x, penalty, step, slope):
    sweeps = descend(H, gradient, x, penalty, 1e-6, 100, step, slope)
    np.testing.assert_allclose(slope, gradient + H @ step, rtol=0, atol=1e-9)
    return sweeps


def of_descent(draw):
    size = draw.size(60)
    A, gradient, x = (draw.rng.normal(size=shape) for shape in ((2 * size, size), size, size))
    penalty, step, slope = np.full((3, size), 0.3)
    args = A.T @ A / size, gradient, x, penalty.copy(), step.copy(), slope.copy()
    yield Call("descend", descended, args)


def columns_to_rows(X, *columns):
    addresses = np.array([column.ctypes.data for column in columns])
    transposition.columns_to_rows(addresses, X)


def of_columns(draw):
    n, D = draw.size(70), draw.size(40)
    columns = [draw.floats(n) for _ in range(D)]

    def stacked(X, *columns):
        X[...] = np.stack(columns, axis=1)

    yield Call("columns_to_rows", columns_to_rows, (draw.unset(n, D), *columns), stacked)


def legacy_orders(state, words, partners, order, orders):
    random_state = np.random.RandomState()
    random_state.set_state(("MT19937", state[:-1], int(state[-1])))
    for row in orders:
        random_state.shuffle(order)
        row[:] = order


def fresh_orders(generator, orders):
    shuffle.fresh_orders(generator, orders)
    assert (np.sort(orders, axis=1) == np.arange(orders.shape[1])).all()


def of_orders(draw):
    n, epochs = 1 + draw.size(3000), draw.size(3)
    state = draw.rng.integers(2**32, size=625, dtype=np.uint32)
    state[-1] = draw.one_of(0, 1, 623, 624)
    order, orders = np.arange(n, dtype=np.uint32), np.full((epochs, n), -1)
    args = state, state[:-1].copy(), order.copy(), order, orders
    yield Call("legacy_orders", shuffle.legacy_orders, args, legacy_orders, spent=(0, 1, 2))
    generator = draw.rng.integers(2**64, size=4, dtype=np.uint64)
    yield Call("fresh_orders", fresh_orders, (generator, orders))


def draw_rows(draw, *, sparse=False, least=1, widest=200):
    """Draw X: of more bytes than NEAR_BYTES or not, of whole blocks of rows or not.

    Now and then it is high enough for the labels to have more than so many bytes too.
    """
    kind, density = draw.one_of("near", "near", "near", "far", "far", "far", "high"), 1 - sparse / 2
    n, D = max(draw.size(draw.one_of(9, 99, 999)), least), draw.size(widest)
    if kind == "far":
        D = widest // 2 + draw.size(widest // 2)
        n = int(1.1 * NEAR_BYTES / (draw.dtype.itemsize * D * density)) + draw.size(300)
    elif kind == "high":
        n, D = NEAR_BYTES // 8 + draw.size(300), draw.size(3)
    if draw.one_of(True, False, False):
        n = -(-n // BLOCK_ROWS) * BLOCK_ROWS
    X = draw.floats(n, D) / draw.dtype.type(np.sqrt(D))
    if sparse:
        X[draw.rng.random(X.shape) > density] = 0
        X[n - draw.one_of(0, 1, 2) :] = 0
        X, index = csr_array(X), draw.one_of(np.int32, np.int64)
        X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def draw_batch_size(draw, n):
    return draw.one_of(*(FEW if n < MANY_ROWS else ()), BLOCK_ROWS, n)


def draw_model(draw, name, *, sparse):
    """Draw a model's parameters, X, y, and weights or None."""
    X, model, K = draw_rows(draw, sparse=sparse), MODELS[name], 1 + draw.size(19)
    n, D = X.shape
    H = draw.one_of(draw.size(70), draw.size(70), 300 + draw.size(800)) if n < MANY_ROWS else 3
    shapes = model.shapes(D, H if model.has_hidden else None, model.n_outputs(K))
    params = tuple(draw.floats(*shape) / draw.dtype.type(np.sqrt(shape[0])) for shape in shapes)
    return params, X, draw.rng.integers(2 if model.binary else K, size=n), draw.weight(n, None)


def trained(params, X, y, weight, order, *, model, **options):
    result = fastlogit.train(model, X, y, params, order=order, sample_weight=weight, **options)
    return *result.params, result.loss_curve, result.n_steps


def of_training(draw, names, *, sparse=False):
    params, X, y, weight = draw_model(draw, name := draw.one_of(*names), sparse=sparse)
    n, epochs = y.size, draw.one_of(1, 2)
    momentum = {"momentum": 0.9, "nesterov": draw.one_of(*EITHER)}
    options = draw.one_of({}, {}, momentum, {"solver": "adam", "epsilon": 0.1})
    options |= {"batch_size": draw_batch_size(draw, n), "alpha": draw.one_of(0, 0.01)}
    if n < MANY_ROWS and draw.one_of(True, False, False):  # which has a loop of its own
        weight, options = None, {"batch_size": 1}
    # Longer steps, a row each, make much of the rounding of the first ones in a wide network.
    options |= {"model": name, "epochs": epochs, "random_state": 0, "learning_rate": 0.001}
    order = draw.one_of(None, np.array([draw.rng.permutation(n) for _ in range(epochs)]))
    run = partial(trained, **options, n_threads=draw.one_of(1, 2))
    plain = partial(trained, **options, backend="numpy")
    yield Call("train", run, (params, X, y, weight, order), plain)


def evaluated(params, X, y, weight, *, model, **options):
    options |= {"sample_weight": weight, "alpha": 0.01}
    loss, gradient = fastlogit.loss_and_gradient(model, params, X, y, **options)
    return loss, *gradient, fastlogit.predict_proba(model, params, X, backend=options["backend"])


def of_evaluation(draw, *, sparse):
    name = draw.one_of(*MODELS)
    run, plain = (partial(evaluated, model=name, backend=which) for which in ("numba", "numpy"))
    yield Call("evaluate", run, draw_model(draw, name, sparse=sparse), plain)


def fitted(X, y, weight, *, estimator):
    """Return what a fit leaves, and what it predicts, as it does after parts."""
    est = clone(estimator).fit(X, y, sample_weight=weight)
    assert est.backend_ == "numba"
    results = [*est.coefs_, *est.intercepts_] if hasattr(est, "coefs_") else [est.coef_]
    results += [est.predict(X), est.predict_proba(X), est.predict_log_proba(X)]
    if est.solver in ("sgd", "adam") and not est.early_stopping:
        results += [est.partial_fit(X, y).predict_proba(X) for _ in range(2)]
    return results


def of_fit(draw, kind, solvers, sparse=(False,)):
    solver, K = draw.one_of(*solvers), 1 + draw.size(19)
    widest = 50 if solver == "saga" else 200
    X = draw_rows(draw, sparse=draw.one_of(*sparse), least=40, widest=widest)
    if solver in ("sag", "saga") and issparse(X):  # which refuse others, as scikit-learn's do
        X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    n = X.shape[0]
    options = {"solver": solver, "max_iter": 4, "random_state": 0, "n_threads": draw.one_of(1, 2)}
    if solver in ("sgd", "adam"):
        options |= {"shuffle": draw.one_of(*EITHER), "momentum": draw.one_of(0, 0.9)}
        options["early_stopping"] = n > 400 and draw.one_of(False, "loss")
        options["batch_size"] = draw_batch_size(draw, n)
    if kind is fastlogit.MLPClassifier:
        options["hidden_layer_sizes"] = (draw.size(70) if n < MANY_ROWS else 3,)
    else:
        options["fit_intercept"] = draw.one_of(*EITHER)
        options["l1_ratio"] = 0.5 if solver == "saga" else 0.0
    args = X, draw.rng.permutation(np.arange(n) % K), draw.weight(n, None)
    yield Call("fit", partial(fitted, estimator=kind(**options)), args)


regression = partial(of_fit, kind=fastlogit.LogisticRegression)
# A trial takes that of its seed's number, counted round and round.
KINDS = (
    of_tiles, of_sparse_rows, of_single_rows, of_output_losses, of_updates, of_output_layers,
    of_dense_layers, of_sparse_layers, of_second_derivatives, of_descent, of_columns,
    of_orders,
    *(partial(of_training, names=[name]) for name in MODELS),
    partial(of_training, names=("logistic", "softmax"), sparse=True),
    partial(of_training, names=("mlp-logistic", "mlp-softmax"), sparse=True),
    partial(of_evaluation, sparse=False),
    partial(of_evaluation, sparse=True),
    partial(regression, solvers=["lbfgs"]),
    partial(regression, solvers=["lbfgs"], sparse=[True]),
    partial(regression, solvers=["newton-cholesky", "newton-cg"]),
    partial(regression, solvers=["saga"], sparse=EITHER),
    partial(regression, solvers=["sag", "newton-cg"], sparse=EITHER),
    partial(regression, solvers=["sgd", "adam"], sparse=EITHER),
    partial(of_fit, kind=fastlogit.MLPClassifier, solvers=["sgd", "adam", "lbfgs"], sparse=EITHER),
)  # fmt: skip
