"""Parquet files: which of a directory are read, and what becomes of them between two passes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastlogit

X = np.random.default_rng(0).normal(size=(300, 2))
TABLE = pa.table({"a": X[:, 0], "b": X[:, 1]})


def test_hidden_files_and_directories_named_like_files_are_no_files(tmp_path):
    rows = tmp_path / "rows.parquet"  # as Spark names what it writes
    rows.mkdir()
    (tmp_path / "_temporary").mkdir()
    pq.write_table(TABLE, rows / "part-0.parquet")
    for hidden in (rows / "._part-0.parquet", tmp_path / "_temporary" / "part-1.parquet"):
        hidden.write_text("no rows")
    source = fastlogit.scan(tmp_path)
    np.testing.assert_array_equal(np.concatenate([part.X for part in source]), X)


@pytest.mark.parametrize("row_group_size", [50, 200])
def test_a_file_that_changes_between_passes_is_refused(row_group_size, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path, row_group_size=100)
    source = fastlogit.scan(path)
    list(source)
    pq.write_table(TABLE, path, row_group_size=row_group_size)
    with pytest.raises(ValueError, match=r"rows\.parquet' has changed since it was scanned"):
        list(source)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"rows\.parquet"):
        list(source)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"rows\.parquet' cannot be read"):
        list(fastlogit.scan(path))


def test_row_groups_without_rows_are_no_partitions(tmp_path):
    path = tmp_path / "rows.parquet"
    with pq.ParquetWriter(path, TABLE.schema) as writer:
        for table in (TABLE.slice(0, 0), TABLE, TABLE.slice(0, 0)):
            writer.write_table(table)
    assert pq.ParquetFile(path).num_row_groups == 3
    assert fastlogit.scan(path).partition_rows == (300,)


def test_the_unnamed_index_of_pandas_is_no_feature_unless_named(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame(X, index=range(300, 0, -1), columns=["a", "b"]).iloc[::2].to_parquet(path)
    frame = pd.DataFrame(X, index=np.random.default_rng(0).permutation(300), columns=["a", "b"])
    frame.to_parquet(path)
    assert "__index_level_0__" in pq.read_schema(path).names
    assert fastlogit.scan(path).feature_names == ("a", "b")
    named = fastlogit.scan(path, columns=["b", "__index_level_0__"])
    np.testing.assert_array_equal(next(iter(named)).X[:, 1], frame.index)


def test_keys_in_the_names_of_directories_are_refused(tmp_path):
    for year in ("2023", "2024"):
        folder = tmp_path / f"year={year}"
        folder.mkdir()
        pq.write_table(TABLE, folder / "part-0.parquet")
    for arguments in ({}, {"target": "year", "columns": ["a"]}, {"columns": ["a", "year"]}):
        with pytest.raises(ValueError, match=r"such as 'year=2024', whose key 'year' is in their"):
            fastlogit.scan(tmp_path, **arguments)
    source = fastlogit.scan(tmp_path, columns=["a", "b"])
    np.testing.assert_array_equal(np.concatenate([part.X for part in source]), np.tile(X, (2, 1)))


def test_a_missing_label_is_named_by_its_row_of_the_file(tmp_path):
    y = np.where(np.arange(300) == 271, None, np.arange(300) % 2)
    for name, labels in (("a", TABLE["a"]), ("b", y)):
        table = TABLE.append_column("y", pa.array(labels, pa.float64()))
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=100)
    source = fastlogit.scan(tmp_path, target="y", partition_rows=40)
    with pytest.raises(ValueError, match=r"target is missing in row 271 of .*b\.parquet; leave"):
        list(source)


@pytest.mark.parametrize("indices", [range(30), [3, 2, 1, 0], [29, 5, 6, 4]])
@pytest.mark.parametrize("most", [0, 1 << 25])
def test_row_groups_are_read_whole_or_in_batches(tmp_path, monkeypatch, most, indices):
    monkeypatch.setattr("fastlogit.sources.parquet.MOST_AT_ONCE", most)
    pq.write_table(TABLE, tmp_path / "rows.parquet", row_group_size=50)
    source = fastlogit.scan(tmp_path / "rows.parquet", partition_rows=10)
    for index, part in zip(indices, source.read(indices), strict=True):
        np.testing.assert_array_equal(part.X, X[index * 10 : index * 10 + 10])
