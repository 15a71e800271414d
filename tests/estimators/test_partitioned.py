"""Fits to a source: the parameters of a fit in memory, from any way that the rows arrive."""

import re
import resource
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import partitioned

RNG = np.random.default_rng(0)
N, D = 6000, 5
X = RNG.normal(RNG.normal(size=D), RNG.uniform(0.5, 2, D), size=(N, D))
LOGITS = np.column_stack([X @ RNG.normal(size=(D, 2)), np.zeros(N)])
Y3 = np.array(["a", "b", "c"])[(LOGITS + RNG.gumbel(size=(N, 3))).argmax(axis=1)]
Y2 = np.where(Y3 == "c", "c", "a")
W = RNG.uniform(0.5, 2, N)
TARGETS = {2: Y2, 3: Y3}
FIVE = {"max_iter": 5, "random_state": 0, "tol": 0}


def scan(X=X, y=Y2, **arguments):
    return fastlogit.scan(X, target=y, partition_rows=1024, **arguments)


def parquet_of(path, X=X, y=Y2):
    columns = {f"f{j}": np.ascontiguousarray(X[:, j]) for j in range(X.shape[1])}
    pq.write_table(pa.table({**columns, "y": y}), path, row_group_size=1024)
    return fastlogit.scan(path, target="y")


def error(fitted, reference):
    return max(
        np.abs(fitted.coef_ - reference.coef_).max() / np.abs(reference.coef_).max(),
        np.abs(fitted.intercept_ - reference.intercept_).max(),
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1.0, 1e-3])
@pytest.mark.parametrize(
    ("by_newton", "dtype", "most"),
    [(True, float, 1e-12), (False, float, 1e-10), (True, "f4", 1e-6), (False, "f4", 5e-5)],
)
def test_parameters_are_those_of_a_fit_in_memory(
    n_classes, fit_intercept, C, by_newton, dtype, most, monkeypatch
):
    monkeypatch.setattr(partitioned, "MOST_BY_NEWTON", 500 if by_newton else 0)
    given, y = X.astype(dtype), TARGETS[n_classes]
    single = dtype == "f4"
    arguments = {"fit_intercept": fit_intercept, "C": C, "max_iter": 300}
    reference = LogisticRegression(solver="newton-cholesky", tol=1e-12, **arguments)
    reference.fit(given.astype(float), y)  # what the fit in memory comes to with more digits
    tol = 1e-8 if single else 1e-12
    fitted = LogisticRegression(tol=tol, **arguments).fit(scan(given, y))
    in_memory = LogisticRegression(solver="newton-cholesky", tol=tol, **arguments).fit(given, y)
    assert error(fitted, reference) < most
    assert error(fitted, in_memory) < most
    assert fitted.coef_.dtype == given.dtype
    assert fitted.classes_.tolist() == reference.classes_.tolist()
    assert fitted.n_iter_.shape == (1,)
    assert fitted.model_ == ("logistic" if n_classes == 2 else "softmax")


@pytest.mark.parametrize(
    ("by_newton", "solver", "most"), [(True, "newton-cholesky", 1e-6), (False, "lbfgs", 5e-5)]
)
@pytest.mark.parametrize("offset", [0, 20])
def test_float32_rounds_the_result_only(offset, by_newton, solver, most, monkeypatch):
    """Also where features are correlated and far from 0, and their gradient in float32 is noise."""
    monkeypatch.setattr(partitioned, "MOST_BY_NEWTON", 500 if by_newton else 0)
    rng = np.random.default_rng(7)
    given = (rng.normal(size=(3000, 8)) @ rng.normal(size=(8, 8)) + offset).astype("f4")
    logits = (given - offset) @ rng.normal(size=(8, 4)) / 2
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    weight = rng.uniform(0.5, 2, len(y)).astype("f4")
    reference = LogisticRegression(solver="newton-cholesky", tol=1e-13)
    reference.fit(given.astype(float), y, weight.astype(float))
    arguments = {"tol": 1e-10, "max_iter": 3000}
    fitted = LogisticRegression(**arguments).fit(scan(given, y, weight=weight))
    in_memory = LogisticRegression(solver=solver, **arguments).fit(given, y, weight)
    assert error(fitted, reference) < most
    assert error(in_memory, reference) < (1e-6 if offset else 1e-7)


def test_lbfgs_goes_on_where_the_loss_no_longer_tells(monkeypatch):
    """Of correlated features it has hundreds of iterations to go by the gradient alone."""
    monkeypatch.setattr(partitioned, "MOST_BY_NEWTON", 0)
    rng = np.random.default_rng([0, 3000])
    given = rng.normal(size=(3000, 20)) @ rng.normal(size=(20, 20)) + 3
    y = (given @ rng.normal(size=(20, 4)) / 5 + rng.gumbel(size=(3000, 4))).argmax(axis=1)
    reference = LogisticRegression(solver="newton-cholesky", tol=1e-13, C=100).fit(given, y)
    fitted = LogisticRegression(tol=1e-12, C=100, max_iter=5000).fit(scan(given, y))
    assert error(fitted, reference) < 2e-8


def test_few_passes_are_enough():
    fitted = LogisticRegression(tol=1e-8).fit(scan())
    # The first pass collects statistics, each other one takes a step.
    assert fitted.n_iter_[0] + 1 == fitted.n_passes_ <= 4
    assert not hasattr(fitted.fit(X, Y2), "n_passes_")


@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 3, "b": 1, "c": 0.5}])
def test_weights_are_those_of_a_fit_in_memory(class_weight):
    arguments = {"tol": 1e-10, "class_weight": class_weight}
    reference = LogisticRegression(solver="newton-cholesky", **arguments)
    reference.fit(X, Y3, sample_weight=W)
    fitted = LogisticRegression(**arguments).fit(scan(y=Y3, weight=W))
    assert error(fitted, reference) < 1e-9


def test_bits_do_not_depend_on_how_rows_arrive(tmp_path):
    estimator = LogisticRegression(tol=1e-8)
    source = parquet_of(tmp_path / "rows.parquet")
    sources = [
        source,
        scan(),
        fastlogit.scan(source, cache=tmp_path / "cache"),
        fastlogit.scan([X[:2048], X[2048:]], target=[Y2[:2048], Y2[2048:]], partition_rows=1024),
    ]
    first, *others = [clone(estimator).fit(source).coef_ for source in sources]
    for other in others:
        np.testing.assert_array_equal(other, first)
    threads = LogisticRegression(tol=1e-8, n_threads=2).fit(source).coef_
    np.testing.assert_array_equal(threads, first)


def test_sparse_rows_are_fitted():
    kept = np.where(RNG.uniform(size=X.shape) < 0.5, X, 0)
    reference = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(kept, Y3)
    fitted = LogisticRegression(tol=1e-11, max_iter=300).fit(scan(csr_array(kept), Y3))
    assert error(fitted, reference) < 1e-9


def test_no_penalty_and_warm_starts():
    free = {"C": np.inf, "tol": 1e-9}
    fitted = LogisticRegression(warm_start=True, **free).fit(scan())
    reference = LogisticRegression(solver="newton-cholesky", **free).fit(X, Y2)
    assert error(fitted, reference) < 1e-8
    assert fitted.fit(scan()).n_passes_ < 4


def test_partial_fit_takes_the_partitions_one_after_the_other():
    classes = np.unique(Y3)
    whole = LogisticRegression(solver="sgd", random_state=0).partial_fit(
        scan(y=Y3), classes=classes
    )
    parts = LogisticRegression(solver="sgd", random_state=0)
    for start in range(0, N, 1024):
        rows = slice(start, start + 1024)
        parts.partial_fit(X[rows], Y3[rows], classes=classes)
    np.testing.assert_array_equal(whole.coef_, parts.coef_)


@pytest.mark.parametrize("kind", ["mapped", "parquet"])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(solver="adam", **FIVE),
        MLPClassifier((16,), batch_size=64, **FIVE),
        MLPClassifier((16,), solver="sgd", learning_rate_init=0.1, **FIVE),
    ],
    ids=["adam", "mlp-adam", "mlp-sgd"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_mini_batches_reach_the_accuracy_in_memory(estimator, kind, tmp_path):
    source = scan(y=Y3) if kind == "mapped" else parquet_of(tmp_path / "rows.parquet", y=Y3)
    in_memory = clone(estimator).fit(X, Y3)
    fitted = clone(estimator).fit(source)
    assert abs(fitted.score(source) - in_memory.score(X, Y3)) < 0.01
    assert fitted.loss_curve_[-1] == pytest.approx(in_memory.loss_curve_[-1], rel=0.03)
    assert fitted.n_iter_ == 5
    assert fitted.n_passes_ == 6
    assert fitted.t_ == 5 * N
    again = clone(estimator).fit(source)
    np.testing.assert_array_equal(again._params[0], fitted._params[0])


def test_an_epoch_in_order_has_the_bits_of_one_in_memory():
    arguments = {"solver": "sgd", "max_iter": 3, "tol": 0, "shuffle": False, "batch_size": 64}
    for estimator in (
        LogisticRegression(**arguments),
        MLPClassifier((8,), random_state=0, **arguments),
    ):
        with pytest.warns(ConvergenceWarning):
            in_memory = clone(estimator).fit(X, Y3)._params
        with pytest.warns(ConvergenceWarning):
            streamed = clone(estimator).fit(scan(y=Y3))._params
        for array, expected in zip(streamed, in_memory, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_sorted_rows_are_refused_by_mini_batches_unless_they_are_mapped(tmp_path):
    order = np.argsort(Y2)
    network = MLPClassifier((8,), max_iter=3, tol=0, random_state=0)
    source = parquet_of(tmp_path / "sorted.parquet", X[order], Y2[order])
    with pytest.raises(ValueError, match=r"the rows are sorted: .* shares of the classes .* 28%"):
        network.fit(source)
    labels = np.unique(Y2[order], return_inverse=True)[1]
    indices = parquet_of(tmp_path / "indices.parquet", X[order], labels)
    with pytest.raises(ValueError, match=r"the rows are sorted: .* shares of the classes .* 28%"):
        fastlogit.train("mlp-logistic", indices, hidden=8, random_state=0)
    by_feature = np.argsort(X[:, 0])
    with pytest.raises(ValueError, match=r"means of a feature differ .* standard deviations"):
        network.fit(parquet_of(tmp_path / "feature.parquet", X[by_feature], Y2[by_feature]))
    with pytest.warns(ConvergenceWarning):
        cached = clone(network).fit(fastlogit.scan(source, cache=tmp_path / "cache"))
    with pytest.warns(ConvergenceWarning):
        in_memory = clone(network).fit(X, Y2)
    assert abs(cached.score(source) - in_memory.score(X, Y2)) < 0.01
    LogisticRegression().fit(source)  # whose sums do not depend on the order


def test_a_network_by_lbfgs_is_that_of_a_fit_in_memory():
    network = MLPClassifier((4,), solver="lbfgs", max_iter=15, random_state=0)
    with pytest.warns(ConvergenceWarning):
        in_memory = clone(network).fit(X, Y3)
    with pytest.warns(ConvergenceWarning):
        streamed = clone(network).fit(scan(y=Y3))
    assert streamed.loss_ == pytest.approx(in_memory.loss_, rel=1e-9)
    assert streamed.n_iter_ == in_memory.n_iter_


def test_validation_rows_end_a_fit_to_a_source():
    network = MLPClassifier((8,), early_stopping=True, random_state=0, max_iter=200)
    network.fit(scan(y=Y3), X_val=X[:500], y_val=Y3[:500])
    assert len(network.validation_scores_) == network.n_iter_ < 200
    epochs = []
    LogisticRegression(solver="sgd", random_state=0).fit(
        scan(), callback=lambda epoch, loss, estimator: epochs.append(epoch) or epoch == 2
    )
    assert epochs == [0, 1, 2]


def test_features_have_the_names_of_the_columns(tmp_path):
    source = parquet_of(tmp_path / "rows.parquet")
    fitted = LogisticRegression().fit(source)
    assert fitted.feature_names_in_.tolist() == [f"f{j}" for j in range(D)]
    frame = source.read([0])
    assert fitted.predict(pa.table({"f0": [0.0]}).to_pandas().reindex(
        columns=fitted.feature_names_in_, fill_value=0.0)).shape == (1,)  # fmt: skip
    assert next(frame).X.shape == (1024, D)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(solver="sgd", max_iter=2), MLPClassifier((2,), max_iter=2)]
)
def test_validation_rows_have_the_columns_of_the_source(estimator, tmp_path):
    source = parquet_of(tmp_path / "rows.parquet")
    frame = pd.DataFrame(X[:50], columns=source.feature_names)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        clone(estimator).fit(source, X_val=frame, y_val=Y2[:50])
        with pytest.raises(ValueError, match="X_val: The feature names should match"):
            clone(estimator).fit(source, X_val=frame[frame.columns[::-1]], y_val=Y2[:50])


def test_unused_and_differing_categories_are_no_classes(tmp_path):
    reference = LogisticRegression().fit(scan())
    for number, categories in enumerate((["c", "a", "unused"], ["never", "a", "c"])):
        y = pa.array(pd.Categorical(Y2[number * 3000 :][:3000], categories=categories))
        columns = {f"f{j}": X[number * 3000 :][:3000, j].copy() for j in range(D)}
        pq.write_table(pa.table({**columns, "y": y}), tmp_path / f"{number}.parquet")
    fitted = LogisticRegression().fit(fastlogit.scan(tmp_path, target="y"))
    assert fitted.classes_.tolist() == ["a", "c"]
    assert error(fitted, reference) < 1e-3


def test_a_verbose_fit_prints_its_passes(capsys):
    LogisticRegression(verbose=1).fit(scan())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["pass 1", "pass 2"]
    assert all(re.search(r"6,000 of 6,000 rows, [\d,]+ rows/s$", line) for line in lines)


@pytest.mark.parametrize(
    ("estimator", "arguments", "text"),
    [
        (LogisticRegression(), {"y": Y2}, "y must be None with a source"),
        (LogisticRegression(), {"sample_weight": W}, "sample_weight must be None with a source"),
        (LogisticRegression(solver="liblinear"), {}, "any solver but 'liblinear'"),
        (LogisticRegression(solver="saga", l1_ratio=1), {}, "fitted with an L2 penalty"),
        (MLPClassifier((4, 4)), {}, "2 hidden layers"),
        (MLPClassifier(early_stopping=True), {}, "needs X_val and y_val with a source"),
        (LogisticRegression(), {"callback": print}, "callback is for the solvers 'sgd' and 'adam'"),
    ],
)
def test_what_a_source_cannot_have_is_refused(estimator, arguments, text):
    with pytest.raises(ValueError, match=text):
        estimator.fit(scan(), **arguments)
    assert not hasattr(estimator, "coef_")


def test_sources_without_labels_or_with_one_class_are_refused():
    with pytest.raises(ValueError, match="the source has no target"):
        LogisticRegression().fit(fastlogit.scan(X))
    with pytest.raises(ValueError, match="the source has no rows"):
        LogisticRegression().fit(fastlogit.scan(pa.table({"f": X[:0, 0], "y": Y2[:0]}), target="y"))
    with pytest.raises(TypeError, match="of which no folds are made"):
        fastlogit.LogisticRegressionCV().fit(scan())
    with pytest.raises(ValueError, match="only one class: 'a'"):
        LogisticRegression().fit(scan(y=np.full(N, "a")))
    with pytest.raises(ValueError, match="sum to 0"):
        LogisticRegression().fit(scan(weight=np.zeros(N)))


def test_partitions_of_one_class_and_of_weight_0():
    order, weight = np.argsort(Y3), np.where(np.arange(N) < 1024, 0.0, 1.0)
    kept = order[weight > 0]
    fitted = LogisticRegression(tol=1e-10).fit(scan(X[order], Y3[order], weight=weight))
    reference = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(X[kept], Y3[kept])
    assert error(fitted, reference) < 1e-9


def run(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


# 480 MB of rows, and 256 MB of memory besides what importing takes.
SCRIPT = """
import resource, sys
import numpy as np, pyarrow.parquet
import fastlogit
small = np.random.default_rng(0).normal(size=(1000, 30)).astype(np.float32)
source = fastlogit.scan(small, target=np.arange(1000) % 2, partition_rows=256)
fastlogit.LogisticRegression().fit(source)
used = 4096 * int(open("/proc/self/statm").read().split()[5])
resource.setrlimit(resource.RLIMIT_DATA, (used + (256 << 20),) * 2)
clf = fastlogit.LogisticRegression(tol=1e-6).fit(fastlogit.scan(sys.argv[1], target="y"))
print(clf.n_passes_, clf.score(fastlogit.scan(sys.argv[1], target="y")) > 0.6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a limit of data")
def test_a_file_larger_than_the_memory_allowed_is_fitted(tmp_path):
    assert hasattr(resource, "RLIMIT_DATA")
    rng, path = np.random.default_rng(0), tmp_path / "large.parquet"
    writer = None
    rows = rng.normal(size=(500_000, 30))
    for _ in range(4):
        y = (rows[:, 0] + rng.normal(size=500_000) > 0).astype(np.int8)
        columns = {f"f{j}": np.ascontiguousarray(rows[:, j]) for j in range(30)}
        table = pa.table({**columns, "y": y})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="none")
        writer.write_table(table)
    writer.close()
    done = run("-c", SCRIPT, str(path))
    assert done.returncode == 0, done.stderr
    passes, accurate = done.stdout.split()
    assert int(passes) <= 5
    assert accurate == "True"


def test_nothing_of_arrow_or_dask_is_imported_before_its_use():
    code = (
        "import sys, fastlogit; from sklearn.datasets import load_iris;"
        "fastlogit.LogisticRegression(max_iter=300).fit(*load_iris(return_X_y=True));"
        "names = 'fastlogit.sources.arrow', 'fastlogit.sources.parquet', 'dask', 'distributed';"
        "print([name for name in names if name in sys.modules])"
    )
    done = run("-c", code)
    assert done.stdout.strip() == "[]"
