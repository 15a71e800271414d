"""Fits and predictions on a cluster equal those of the same partitions in this process."""

import copy
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dask import delayed
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import fastlogit
from fastlogit.dask import LogisticRegression, MLPClassifier
from fastlogit.dask import worker as worker_module

EXACT = {"solver": "newton-cholesky", "tol": 1e-13, "max_iter": 50}


@pytest.fixture(scope="module")
def one_worker(make_cluster):
    with make_cluster(1) as client:
        yield client


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_newton_fits_are_those_of_a_scan_and_of_memory(
    client, draw, divide, streamed, params_of, dtype, K
):
    X, y, weight = draw(K=K, dtype=dtype)
    arguments = EXACT if dtype == np.float64 else {**EXACT, "tol": 1e-8}
    Xd, yd, wd = divide(250, X, y, weight)
    fitted = LogisticRegression(**arguments).fit(Xd, yd, wd)
    expected = streamed(fastlogit.LogisticRegression, X, y, weight, **arguments)
    np.testing.assert_array_equal(params_of(fitted), params_of(expected))
    assert fitted.n_passes_ == expected.n_passes_
    assert fitted.n_iter_ == expected.n_iter_
    assert fitted.coef_.dtype == dtype
    in_memory = fastlogit.LogisticRegression(**arguments).fit(X, y, weight)
    optimum = fastlogit.LogisticRegression(**EXACT).fit(X.astype(float), y, weight.astype(float))
    atol = 1e-12 if dtype == np.float64 else 1e-6
    for other in (in_memory, optimum):
        np.testing.assert_allclose(params_of(fitted), params_of(other), rtol=0, atol=atol)


@pytest.mark.parametrize(("by_newton", "most"), [(True, 1e-6), (False, 5e-5)])
def test_float32_fits_on_one_and_two_workers_are_those_of_memory(
    client, one_worker, draw, divide, streamed, params_of, monkeypatch, by_newton, most
):
    monkeypatch.setattr("fastlogit.estimators.partitioned.MOST_BY_NEWTON", 500 if by_newton else 0)
    X, y, _ = draw(D=8, K=4, dtype=np.float32)
    arguments = {"tol": 1e-8, "max_iter": 2000}
    solver = "newton-cholesky" if by_newton else "lbfgs"
    in_memory = fastlogit.LogisticRegression(solver=solver, **arguments).fit(X, y)
    expected = streamed(fastlogit.LogisticRegression, X, y, **arguments)
    np.testing.assert_allclose(params_of(expected), params_of(in_memory), rtol=0, atol=most)
    for each in (client, one_worker):
        fitted = LogisticRegression(client=each, **arguments).fit(*divide(250, X, y))
        np.testing.assert_array_equal(params_of(fitted), params_of(expected))


def test_an_lbfgs_fit_is_that_of_a_scan_and_of_memory(
    client, draw, divide, streamed, params_of, monkeypatch
):
    monkeypatch.setattr("fastlogit.estimators.partitioned.MOST_BY_NEWTON", 0)
    X, y, _ = draw(K=3)
    arguments = {"tol": 1e-13, "max_iter": 2000}
    fitted = LogisticRegression(**arguments).fit(*divide(250, X, y))
    expected = streamed(fastlogit.LogisticRegression, X, y, **arguments)
    np.testing.assert_array_equal(params_of(fitted), params_of(expected))
    in_memory = fastlogit.LogisticRegression(**EXACT).fit(X, y)
    np.testing.assert_allclose(params_of(fitted), params_of(in_memory), rtol=0, atol=1e-10)


def test_a_network_by_lbfgs_is_that_of_a_scan(client, draw, divide, streamed, params_of):
    X, y, _ = draw(K=3)
    arguments = {
        "hidden_layer_sizes": (7,), "solver": "lbfgs", "random_state": 0, "alpha": 1.0,
        "max_iter": 500, "tol": 1e-3,
    }  # fmt: skip
    fitted = MLPClassifier(**arguments).fit(*divide(250, X, y))
    expected = streamed(fastlogit.MLPClassifier, X, y, **arguments)
    np.testing.assert_array_equal(params_of(fitted), params_of(expected))


@pytest.fixture(scope="module")
def fits(draw, divide):
    """Return fitted estimators, X and y."""
    X, y, _ = draw(K=3)
    linear = fastlogit.LogisticRegression().fit(X, y)
    twin = LogisticRegression().fit(X, y)  # in memory, without a client
    network = MLPClassifier(
        (5,), solver="lbfgs", alpha=1.0, max_iter=2000, tol=1e-2, random_state=0
    )
    return linear, twin, network.fit(X, y), X, y


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
@pytest.mark.parametrize("kind", ["linear", "network"])
def test_predictions_are_lazy_and_those_of_memory(fits, divide, method, kind):
    _, twin, network, X, _ = fits
    fitted = twin if kind == "linear" else network
    if not hasattr(fitted, method):
        pytest.skip("networks have no decision_function")
    expected = getattr(fitted, method)(X)
    frame = pd.DataFrame(X)
    columns = da.from_array(X, chunks=(1000, 4))
    unknown = dd.from_pandas(frame, npartitions=3).values
    for rows in (*divide(700, X), columns, unknown, dd.from_pandas(frame, npartitions=3)):
        lazy = getattr(fitted, method)(rows)
        assert isinstance(lazy, da.Array)
        assert lazy.dtype == expected.dtype
        assert lazy.ndim == expected.ndim
        assert lazy.shape[1:] == expected.shape[1:]
        np.testing.assert_allclose(lazy.compute(scheduler="sync"), expected, rtol=1e-12)


def test_a_subclass_predicts_rows_in_memory_as_the_class_does(fits):
    linear, twin, _, X, _ = fits
    np.testing.assert_array_equal(twin.coef_, linear.coef_)
    np.testing.assert_array_equal(twin.predict(X), linear.predict(X))
    assert twin._kernel_indices(np.tile(X, (20, 1))) is not None


def test_empty_blocks_are_predicted_too(fits):
    _, twin, _, X, _ = fits
    rows = da.from_array(X[:100], chunks=((60, 0, 40), 6))
    assert twin.predict(rows).compute(scheduler="sync").shape == (100,)
    assert twin.predict_proba(rows).compute(scheduler="sync").shape == (100, 3)


def test_score(client, fits, divide, draw):
    linear, twin, network, X, y = fits
    weight = draw(K=3)[2]
    Xd, yd, wd = divide(700, X, y, weight)
    assert twin.score(Xd, yd) == pytest.approx(linear.score(X, y), rel=1e-12)
    assert twin.score(Xd, yd, wd) == pytest.approx(linear.score(X, y, weight), rel=1e-6)
    assert network.score(Xd, yd) == pytest.approx(network.score(X, y), rel=1e-12)
    with pytest.raises(TypeError, match="y must be a Dask array or series, like X, got ndarray"):
        twin.score(Xd, y)


def test_client_is_an_argument_that_no_pickle_has(client, fits):
    estimator = LogisticRegression(client=client, C=2.0)
    assert estimator.get_params()["client"] is client
    assert clone(estimator).client is client
    assert clone(estimator).C == 2.0
    loaded = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    assert loaded.client is None
    assert loaded.C == 2.0
    names = list(fastlogit.LogisticRegression().get_params())
    assert sorted([*names, "client"]) == list(estimator.get_params())


def test_a_local_estimator_loads_without_dask(fits, tmp_path):
    _, twin, network, X, _ = fits
    for fitted in (twin, network):
        path = tmp_path / "model.pickle"
        path.write_bytes(pickle.dumps((fitted.to_local(), X[:50])))
        program = (
            f"import pickle, sys; model, X = pickle.load(open({str(path)!r}, 'rb')); "
            "print(*model.predict(X)); assert not {'dask', 'distributed'} & set(sys.modules)"
        )
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == fitted.predict(X[:50]).astype(str).tolist()


def test_a_fit_needs_a_client(draw, divide, monkeypatch):
    X, y, _ = draw(n=100)
    monkeypatch.setattr("fastlogit.dask.estimators.get_client", raise_value_error)
    with pytest.raises(ValueError, match=r"client=None needs a client of Dask"):
        LogisticRegression().fit(*divide(50, X, y))


def raise_value_error():
    raise ValueError("No global client found")


# Partitions of all kinds


def test_empty_and_one_class_partitions(client, draw, streamed, params_of):
    X, y, _ = draw()
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    Xd = da.from_array(X, chunks=((500, 0, 500, 0, *[500] * 4, 0), 6))
    fitted = LogisticRegression(tol=1e-9).fit(Xd, da.from_array(y, chunks=1000))
    expected = streamed(fastlogit.LogisticRegression, X, y, rows=500, tol=1e-9)
    np.testing.assert_array_equal(params_of(fitted), params_of(expected))
    with pytest.raises(ValueError, match="only one class"):
        LogisticRegression().fit(Xd, da.zeros(3000, chunks=1000))
    with pytest.raises(ValueError, match="X has no rows"):
        LogisticRegression().fit(Xd[:0], da.from_array(y, chunks=1000)[:0])


def frames(X, y, n_partitions=6):
    """Return pandas partitions of named columns with a column y."""
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(y=y)
    size = -(-len(frame) // n_partitions)
    return [frame.iloc[i : i + size] for i in range(0, len(frame), size)]


def gathered(parts):
    # Of a frame by from_delayed, Dask 2026.8 computes no array.
    return dd.from_map(copy.copy, parts, meta=parts[0].iloc[:0], enforce_metadata=False)


LABELS = {
    "numbers": lambda y, part: y,
    "strings": lambda y, part: y.map(dict(enumerate(["low", "mid", "top"]))),
    "arrow strings": lambda y, part: LABELS["strings"](y, part).astype("string[pyarrow]"),
    "categories": lambda y, part: pd.Categorical(
        LABELS["strings"](y, part), categories=np.roll(["low", "mid", "top"], part)
    ),
    "arrow numbers": lambda y, part: y.astype("int64[pyarrow]"),
    "dictionaries": lambda y, part: dictionary(LABELS["strings"](y, part)),
}


def dictionary(y):
    encoded = pa.array(y).dictionary_encode()
    return pd.Series(pd.arrays.ArrowExtensionArray(encoded), index=y.index)


@pytest.mark.parametrize("kind", LABELS)
def test_dataframes_with_labels_of_any_kind(client, draw, streamed, params_of, kind):
    X, y, _ = draw(K=3)
    parts = [part.assign(y=LABELS[kind](part.y, i)) for i, part in enumerate(frames(X, y))]
    data = gathered(parts)
    fitted = LogisticRegression(tol=1e-9).fit(data[list("abcdef")], data["y"])
    expected = streamed(fastlogit.LogisticRegression, X, y, rows=500, tol=1e-9)
    np.testing.assert_array_equal(params_of(fitted), params_of(expected))
    assert fitted.feature_names_in_.tolist() == list("abcdef")
    names = [0, 1, 2] if "numbers" in kind else ["low", "mid", "top"]
    assert fitted.classes_.tolist() == names
    rows = data[list("abcdef")]
    predicted = fitted.predict(rows).compute()
    np.testing.assert_array_equal(predicted, np.asarray(names)[expected.predict(X)])
    assert fitted.score(rows, data["y"]) == pytest.approx(expected.score(X, y), rel=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(rows.rename(columns={"a": "z"}))


def test_arrow_backed_frames_unknown_chunks_and_sparse_blocks(
    client, draw, divide, streamed, params_of
):
    X, y, weight = draw(dtype=np.float32)
    expected = streamed(fastlogit.LogisticRegression, X, y, weight, rows=500)
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcdef")), npartitions=6, sort=False)
    arrow = frame.astype("float[pyarrow]")
    Xd, yd, wd = divide(500, X, y, weight)
    series = dd.from_pandas(pd.Series(weight), npartitions=6, sort=False)
    for rows, weights in ((arrow, wd), (frame.values, series), (frame, series.values)):
        fitted = LogisticRegression().fit(rows, yd, weights)
        assert fitted.coef_.dtype == np.float32
        np.testing.assert_array_equal(params_of(fitted), params_of(expected))
        np.testing.assert_array_equal(fitted.predict(rows).compute(), expected.predict(X))
    sparse = Xd.map_blocks(csr_array)
    source = fastlogit.scan([csr_array(X[i : i + 500]) for i in range(0, 3000, 500)],
                            target=np.split(y, 6))  # fmt: skip
    np.testing.assert_array_equal(
        params_of(LogisticRegression().fit(sparse, yd)),
        params_of(fastlogit.LogisticRegression().fit(source)),
    )


def test_columns_in_several_chunks(client, draw, divide, params_of):
    X, y, _ = draw()
    yd = da.from_array(y, chunks=700)
    parts = [da.from_array(X, chunks=(500, size)) for size in (6, 4)]
    whole, divided = (LogisticRegression().fit(Xd, yd) for Xd in parts)
    np.testing.assert_array_equal(params_of(divided), params_of(whole))


def test_two_fits_at_once_on_one_client(client, draw, divide, params_of):
    X, y, _ = draw()
    Xd, yd = divide(250, X, y)
    alone = [params_of(LogisticRegression(C=C, tol=1e-9).fit(Xd, yd)) for C in (0.01, 1, 100)]
    with ThreadPoolExecutor(3) as pool:
        at_once = pool.map(
            lambda C: LogisticRegression(C=C, tol=1e-9, client=client).fit(Xd, yd), (0.01, 1, 100)
        )
        for fitted, expected in zip(at_once, alone, strict=True):
            np.testing.assert_array_equal(params_of(fitted), expected)


def test_a_fit_frees_its_partitions_and_prints_its_rounds(client, draw, divide, capsys):
    X, y, _ = draw()
    fitted = LogisticRegression(verbose=1).fit(*divide(250, X, y))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == fitted.n_passes_
    assert all("3,000 of 3,000 rows" in line for line in lines)
    assert wait_until(lambda: not any(client.run(worker_module.n_held).values()))


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return done


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X, y, w: (X, None, w), TypeError, "y must be a Dask array .* got None"),
        (lambda X, y, w: (X, y[:-1], w), ValueError, "y has 2999 rows, X has 3000"),
        (lambda X, y, w: (X, y, w.compute()), TypeError, "sample_weight must be a Dask array"),
        (lambda X, y, w: (X[:, 0], y, w), ValueError, r"X of shape \(3000,\) must be \(rows"),
        (lambda X, y, w: (X.to_delayed()[0, 0], y, w), TypeError, "X must be a Dask array or"),
        (lambda X, y, w: (X, X[:, :2], w), ValueError, r"y of shape \(3000, 2\) must be"),
        (lambda X, y, w: (X * 1j, y, w), TypeError, "X of dtype complex128 must hold real"),
        (lambda X, y, w: (X, y, -w), ValueError, "weight=-.* in row .* must be finite and at"),
        (lambda X, y, w: (da.concatenate([X[:250].map_blocks(add_nan), X[250:]]), y, w), ValueError,
         "got nan in column 0, row 0"),
        (lambda X, y, w: (frame_of(X), y.rechunk(1000), w), ValueError, "y has 3 partitions, X"),
        (lambda X, y, w: (X, y.map_blocks(shorten, dtype=y.dtype), w), ValueError,
         r"y has 249 rows in partition \d+, X has 250"),
        (lambda X, y, w: (frame_of(X).assign(s="text"), y, w), ValueError, "column 's' of X is of"),
        (lambda X, y, w: (X, X[:, 0], w), ValueError, "Unknown label type"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(client, draw, divide, change, error, message):
    with pytest.raises(error, match=message):
        LogisticRegression().fit(*change(*divide(250, *draw())))


def frame_of(X):
    return dd.from_dask_array(X)


add_nan = eval("lambda block: block * float('nan')", {"__name__": "__main__"})  # noqa: S307
shorten = eval("lambda block: block[1:]", {"__name__": "__main__"})  # noqa: S307


def test_classes_for_memory_refuse_collections(draw, divide):
    X, y, _ = draw(n=100)
    Xd, yd = divide(50, X, y)
    series = dd.from_pandas(pd.Series(y), npartitions=2)
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=2)
    fitted = fastlogit.LogisticRegression().fit(X, y)
    for kind in (fastlogit.LogisticRegression, fastlogit.MLPClassifier):
        for rows, labels in ((Xd, y), (frame, y), (delayed(X), y), (X, yd), (X, series)):
            with pytest.raises(TypeError, match=r"of Dask: fastlogit\.dask has the estimators"):
                kind().fit(rows, labels)
    for method in ("predict", "predict_proba", "decision_function"):
        for rows in (Xd, frame):
            with pytest.raises(TypeError, match=r"X is a .* of Dask"):
                getattr(fitted, method)(rows)
    with pytest.raises(TypeError, match=r"y is a Array of Dask"):
        fitted.score(X, yd)


# Mini-batches


@pytest.mark.parametrize("kind", [LogisticRegression, MLPClassifier])
def test_minibatches_are_as_accurate_as_in_memory(client, draw, divide, kind):
    X, y, _ = draw(n=40_000)
    arguments = {"solver": "adam", "batch_size": 20, "max_iter": 6, "random_state": 0}
    fitted, in_memory = kind(**arguments), kind(**arguments).to_local()
    for estimator, data in ((fitted, divide(2500, X, y)), (in_memory, (X, y))):
        with pytest.warns(ConvergenceWarning):
            estimator.fit(*data)
    assert abs(fitted.score(X, y) - in_memory.score(X, y)) < 0.005
    assert len(fitted.loss_curve_) == 6
    assert fitted.loss_curve_[-1] == pytest.approx(in_memory.loss_curve_[-1], rel=0.1)


def test_sorted_rows_are_refused_for_minibatches(client, draw, divide):
    X, y, _ = draw()
    order = np.argsort(y)
    with pytest.raises(ValueError, match="the rows are sorted: in the partitions, shares"):
        MLPClassifier().fit(*divide(250, X[order], y[order]))
