"""One kind of rows behind every kind of data that scan takes, and what it refuses."""

import pickle
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array

import fastlogit
from fastlogit.sources import Labels

N, NAMES = 1000, ("a", "b", "c")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
W = RNG.uniform(0.5, 2, N).astype(np.float32)
TABLE = pa.table({**dict(zip(NAMES, X.T.copy(), strict=True)), "y": Y, "w": W})
BY_NAME = {"target": "y", "weight": "w"}


def parquet(folder):
    pq.write_table(TABLE, folder / "rows.parquet", row_group_size=300)
    return folder / "rows.parquet", BY_NAME


def directory(folder):
    for number, start in enumerate(range(0, N, 400)):
        pq.write_table(TABLE.slice(start, 400), folder / f"part-{number}.parquet")
    return folder, BY_NAME


def reader(_folder):
    return pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(170)), BY_NAME


def npy(folder):
    for name, array in (("X", X), ("y", Y), ("w", W)):
        np.save(folder / f"{name}.npy", array)
    return folder / "X.npy", {"target": folder / "y.npy", "weight": folder / "w.npy"}


def duckdb_relation(_folder):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.sql("SELECT * FROM table_", connection=connect(duckdb)), BY_NAME


def halves(array):
    return [array[:300], array[300:]]


def connect(duckdb):
    connection = duckdb.connect()
    connection.register("table_", TABLE)
    return connection


KINDS = {
    "parquet": parquet,
    "directory": directory,
    "table": lambda _: (TABLE, BY_NAME),
    "batch": lambda _: (TABLE.to_batches()[0], BY_NAME),
    "reader": reader,
    "pandas": lambda _: (TABLE.to_pandas().set_index(pd.Index(range(5, N + 5))), BY_NAME),
    "polars": lambda _: (pl.from_arrow(TABLE), BY_NAME),
    "lazy": lambda _: (pl.from_arrow(TABLE).lazy(), BY_NAME),
    "duckdb": duckdb_relation,
    "npy": npy,
    "array": lambda _: (X, {"target": Y, "weight": W}),
    "fortran": lambda _: (np.asfortranarray(X), {"target": Y, "weight": W}),
    "csr": lambda _: (csr_array(X), {"target": Y, "weight": W}),
    "list": lambda _: (halves(X), {"target": halves(Y), "weight": halves(W)}),
    "tables": lambda _: ([TABLE.slice(0, 300), TABLE.slice(300)], BY_NAME),
}  # fmt: skip


def labels_of(y):
    return y.values[y.codes] if isinstance(y, Labels) else y


def rows_of(parts):
    parts = list(parts)
    dense = [part.X.toarray() if hasattr(part.X, "toarray") else part.X for part in parts]
    return (
        np.concatenate(dense),
        np.concatenate([labels_of(part.y) for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_data_have_the_same_rows(kind, tmp_path):
    data, arguments = KINDS[kind](tmp_path)
    source = fastlogit.scan(data, partition_rows=128, **arguments)
    for given, expected in zip(rows_of(source), (X, Y, W), strict=True):
        np.testing.assert_array_equal(given, expected)
    assert source.shape == (N, 3)
    assert source.dtype == np.float32
    assert max(source.partition_rows) == 128
    assert sum(source.partition_rows) == N
    named = kind not in ("npy", "array", "fortran", "csr", "list")
    assert source.feature_names == (NAMES if named else None)
    assert "1,000 rows x 3 features" in repr(source)


@pytest.mark.parametrize("kind", KINDS)
def test_partitions_are_read_again_in_any_order(kind, tmp_path):
    data, arguments = KINDS[kind](tmp_path)
    source = fastlogit.scan(data, partition_rows=128, **arguments)
    last = source.n_partitions - 1
    order = [last, 0, 1, 0, last // 2]
    for index, part in zip(order, source.read(order), strict=True):
        start = source.starts[index]
        stop = start + source.partition_rows[index]
        np.testing.assert_array_equal(rows_of([part])[0], X[start:stop])
    assert sorted(i for run in source.runs() for i in run) == list(range(last + 1))


@pytest.mark.parametrize("kind", ["parquet", "directory", "npy", "lazy"])
def test_a_cache_has_the_same_rows_and_is_used_again(kind, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    data, arguments = KINDS[kind](files)
    cache = tmp_path / "cache"
    first = fastlogit.scan(data, partition_rows=128, cache=cache, **arguments)
    for given, expected in zip(rows_of(first), (X, Y, W), strict=True):
        np.testing.assert_array_equal(given, expected)
    written = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    if kind == "lazy":  # a stream is never the same twice
        with pytest.raises(ValueError, match="cache of other data"):
            fastlogit.scan(data, partition_rows=128, cache=cache, **arguments)
    else:
        again = fastlogit.scan(data, partition_rows=128, cache=cache, **arguments)
        assert again.partition_rows == first.partition_rows
    opened = fastlogit.scan(cache)
    np.testing.assert_array_equal(rows_of(opened)[1], Y)
    assert written == {path: path.stat().st_mtime_ns for path in cache.iterdir()}


def test_a_cache_of_other_data_is_left_as_it_is(tmp_path):
    path, arguments = parquet(tmp_path)
    fastlogit.scan(path, cache=tmp_path / "cache", **arguments)
    with pytest.raises(ValueError, match="cache of other data"):
        fastlogit.scan(path, cache=tmp_path / "cache", target="y")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="no cache of fastlogit"):
        fastlogit.scan(path, cache=tmp_path / "mine", **arguments)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_cache_that_fails_leaves_nothing(tmp_path):
    table = TABLE.set_column(3, "y", pa.array([*Y[:-1], None]))
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="target is missing"):
        fastlogit.scan(tmp_path / "rows.parquet", cache=tmp_path / "cache", target="y")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_columns_choose_and_order_the_features(tmp_path):
    path, _ = parquet(tmp_path)
    source = fastlogit.scan(path, target="y", columns=["c", "a"])
    assert source.feature_names == ("c", "a")
    np.testing.assert_array_equal(next(iter(source)).X, X[:300, [2, 0]])


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [
        ({"i": pa.array([1, 2], pa.int8()), "f": pa.array([1, 2], pa.float32())}, np.float32),
        ({"i": pa.array([1, 2], pa.int64()), "f": pa.array([1, 2], pa.float32())}, np.float64),
        ({"i": pa.array([True, False])}, np.float64),
        ({"i": pa.array([1, None], pa.int64())}, np.float64),
        ({"f": pa.array([1, None], pa.float32())}, np.float32),
        ({"f": pa.array([None, 2], pa.float64())}, np.float64),
        ({"f": pa.array([0, 1.5, None, 2], pa.float32()).slice(1)}, np.float32),
        ({"h": pa.array(np.array([1, 2], np.float16)), "f": [1.0, 2.0]}, np.float64),
        ({"i": pa.array([True, None])}, np.float64),
        ({"i": pa.array(["1.5", "2.5"]).cast(pa.decimal128(4, 1))}, np.float64),
    ],
)
def test_numbers_of_every_type_are_read(columns, dtype):
    table = pa.table(columns)
    X = next(iter(fastlogit.scan(table))).X
    assert X.dtype == dtype
    expected = table.to_pandas().astype(dtype).to_numpy()
    np.testing.assert_array_equal(X, expected)


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["u", "v", "u"]),
        pa.array(["u", "v", "u"]).dictionary_encode(),
        pa.chunked_array([["v", "u"], ["u"]]).dictionary_encode(),
        pa.array([3, 5, 3]),
        pa.array([True, False, True]),
        pa.array([3, 5, 3]).cast(pa.decimal128(19, 0)),
    ],
)
def test_labels_of_every_type_are_read(labels):
    part = next(iter(fastlogit.scan(pa.table({"x": [1.0, 2.0, 3.0], "y": labels}), target="y")))
    assert labels_of(part.y).tolist() == labels.to_pylist()


@pytest.mark.parametrize(
    ("data", "arguments", "error", "text"),
    [
        (3, {}, TypeError, "data of type int must be the path"),
        ([], {}, ValueError, "data is an empty list"),
        ("nowhere.parquet", {}, FileNotFoundError, "nowhere.parquet"),
        (X[0], {}, ValueError, r"shape \(3,\)"),
        (X, {"target": Y[:-1]}, ValueError, r"target of shape \(999,\) must have shape \(1000,\)"),
        (X, {"target": "y"}, ValueError, "target='y' must be an array or an .npy file"),
        (X, {"columns": ["a"]}, ValueError, "columns=.* must be None"),
        (fastlogit.scan(X), {"target": X[:, 0]}, ValueError, "^target=.{40} must be None"),
        (X, {"partition_rows": 0}, ValueError, "partition_rows=0 must be at least 1"),
        (TABLE, {"target": "z"}, ValueError, "target='z' must name one column of data"),
        (TABLE, {"target": Y}, TypeError, "target must be the name of a column"),
        (TABLE, {"target": "y", "columns": ["a", "q"]}, ValueError, "columns='q' must name"),
        (TABLE, {"target": "y", "columns": ["y"]}, ValueError, "columns names 'y'"),
        (TABLE, {}, ValueError, "column 'y' of data is of type string"),
        ([X, X[:, :2]], {}, ValueError, r"data\[1\] has n_features 2, data\[0\] has 3"),
        ([X, X], {"target": [Y]}, ValueError, "a list of 2, like data"),
        (csr_array(X), {"cache": "c"}, ValueError, "must be None for sparse"),
        (X, {"cache": 3}, TypeError, "cache=3 must be the path of a directory"),
        (np.ma.masked_array(X, X > 1), {}, TypeError, "data is a masked array"),
        (X, {"target": np.ma.masked_array(Y, Y == "no")}, TypeError, "target is a masked array"),
        (X, {"weight": Y}, TypeError, "weight of dtype <U3 must hold real numbers"),
        (TABLE, {"target": "y", "columns": "ab"}, ValueError, "columns='ab' must be a list"),
        (TABLE, {"target": "y", "columns": []}, ValueError, r"columns=\[\] must be a list"),
        (TABLE, {"target": "y", "columns": ["a", "a"]}, ValueError, "two columns of the name 'a'"),
        (TABLE, {"target": "y", "weight": "y"}, ValueError, "must be two columns"),
        (TABLE.append_column("a", TABLE["b"]), {"target": "y"}, ValueError, "two columns of the"),
        (pl.Series([1.0]), {}, TypeError, "data of type Series must be a table"),
        (pd.Series([1.0]), {}, TypeError, "data of type Series must be a table"),
        (pa.table({"a": [1.0], "y": [[1]]}), {"target": "y"}, ValueError, "'y' is of type list"),
    ],
)  # fmt: skip
def test_what_cannot_be_scanned_is_refused(data, arguments, error, text):
    with pytest.raises(error, match=text):
        fastlogit.scan(data, **arguments)


def test_files_that_are_not_as_they_seem_are_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(ValueError, match="is no Parquet file"):
        fastlogit.scan(tmp_path / "text.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"without \.parquet files"):
        fastlogit.scan(tmp_path / "empty")
    directory(tmp_path / "empty")
    pq.write_table(TABLE.drop(["a"]), tmp_path / "empty" / "z.parquet")
    with pytest.raises(ValueError, match=r"the columns of .*z\.parquet' differ"):
        fastlogit.scan(tmp_path / "empty", target="y")


@pytest.mark.parametrize("content", [b"", b"text"])
def test_npy_files_that_are_not_as_they_seem_are_named(content, tmp_path):
    path = tmp_path / "rows.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data='.*rows.npy' is no \.npy file of numbers"):
        fastlogit.scan(path)
    with pytest.raises(ValueError, match=r"target='.*rows.npy' is no \.npy file of numbers"):
        fastlogit.scan(X, target=path)


def test_labels_beside_a_parquet_file_are_refused(tmp_path):
    path, _ = parquet(tmp_path)
    with pytest.raises(TypeError, match="target must be the name of a column of data, got ndarray"):
        fastlogit.scan(path, target=Y)


@pytest.mark.parametrize("columns", [np.array(["c", "a"]), pd.Index(["c", "a"]), ("c", "a")])
def test_columns_may_be_any_sequence(columns):
    assert fastlogit.scan(TABLE, target="y", columns=columns).feature_names == ("c", "a")


def test_a_category_that_is_missing_is_a_missing_label():
    y = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), pa.array([None, "x"]))
    source = fastlogit.scan(pa.table({"x": [1.0, 2.0, 3.0], "y": y}), target="y")
    with pytest.raises(ValueError, match="the target is missing in row 1"):
        list(source)


def test_threads_share_the_copy_of_a_stream():
    source, shapes = fastlogit.scan(reader(None)[0], **BY_NAME), []
    threads = [threading.Thread(target=lambda: shapes.append(source.shape)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == [(N, 3)] * 4


def test_a_stream_is_shown_without_being_read():
    source = fastlogit.scan(reader(None)[0], **BY_NAME)
    assert repr(source) == "<StreamSource of 3 features>"
    with pytest.raises(TypeError, match="<StreamSource of 3 features> is no array"):
        np.asarray(source)
    assert len(list(source.stream())) == 1


def test_a_source_of_a_stream_is_not_pickled():
    with pytest.raises(TypeError, match="scan it with cache="):
        pickle.dumps(fastlogit.scan(reader(None)[0], **BY_NAME))


def test_a_stream_is_read_once_as_it_comes():
    source = fastlogit.scan(reader(None)[0], partition_rows=100, **BY_NAME)
    np.testing.assert_array_equal(rows_of(source.stream())[0], X)
    with pytest.raises(ValueError, match="a stream that has been read"):
        list(source.stream())


def test_a_scanned_source_is_returned_as_it_is():
    source = fastlogit.scan(X)
    assert fastlogit.scan(source) is source
