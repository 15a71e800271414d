import io
import re
import zipfile

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file

from fastlogit.benchmark import machine
from fastlogit.benchmark.data_file import (
    ReadOptions,
    describe,
    description,
    formats,
    frames,
    load,
    loading,
    streamed,
)

X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.arange(60) * 7 % 3
KINDS = np.array(["p", "q", "r"])


def written(folder, name):
    """Write the rows in the format that a name's ending says."""
    frame, path = pd.DataFrame(X, columns=[*"stuv"]).assign(kind=KINDS[Y]), folder / name
    if ".parquet" in name:
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.execute(f"COPY frame TO '{path}'")
    elif ".npz" in name:
        np.savez(path, X=X, y=Y)
    elif ".svm" in name:
        dump_svmlight_file(X, Y, str(path))
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


@pytest.mark.parametrize(
    "name",
    ["a.csv", "a.CSV", "a.csv.gz", "a.tsv", "a.txt", "a.parquet", "a.npz", "a.svm", "a.svmlight"],
)
def test_every_format_gives_the_same_rows(name, tmp_path):
    named = "npz" not in name and "svm" not in name
    file = describe(written(tmp_path, name), "kind" if named else None)
    assert (file.name, file.n_features, file.class_rows) == ("a", 4, (20, 20, 20))
    assert file.classes == (("p", "q", "r") if named else ("0", "1", "2"))
    parts = frames(file)
    both = pd.concat([parts.X, parts.X_test])
    np.testing.assert_allclose(both.sort_index().to_numpy(), X, rtol=1e-12)
    labels = np.concatenate([parts.y, parts.y_test])[np.argsort(both.index)]
    assert labels.tolist() == (KINDS[Y] if named else Y).tolist()


def test_a_packed_svmlight_file(tmp_path):
    import gzip

    path = tmp_path / "b.svm.gz"
    path.write_bytes(gzip.compress(written(tmp_path, "a.svm").read_bytes()))
    assert describe(path).n_features == 4


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.npz.gz", "a.gz"])
def test_endings_that_are_none(name, refusal):
    assert f"{name} has no ending of a format that can be read; there are .csv" in refusal(
        name, "x"
    )


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*none\.csv: No such file"):
        describe(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=r"cannot read .*folder\.csv: Is a directory"):
        describe(tmp_path / "folder.csv")


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_what_macos_adds_to_an_archive_is_not_read(tmp_path):
    path = written(tmp_path, "a.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._X.npy", b"\x00\x05\x16\x07")
        archive.writestr("__MACOSX/._y.npy", b"")
    assert describe(path).class_rows == (20, 20, 20)


def test_arrays_by_other_names(write):
    assert describe(write("a.npz", npz(rows=X, kind=KINDS[Y])), "kind").classes == ("p", "q", "r")
    assert describe(write("b.npz", npz(data=X, Label=Y))).n_features == 4
    assert (
        describe(write("c.npz", npz(X=X.astype(">f4"), other=X, y=Y.astype(">i2")))).n_samples == 60
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X, "z": Y}, "no array 'y'; there are X, z"),
        ({"X": X, "y": Y[1:]}, "holds X (60, 4), y (59,); it must hold one array X of shape"),
        ({"a": X, "b": X, "y": Y}, "it must hold one array X of shape"),
        ({"X": X + 1j, "y": Y}, "dtype complex128"),
        ({"X": X[:0], "y": Y[:0]}, "X of shape (0, 4)"),
        ({"X": np.array([{}], object), "y": Y[:1]}, "is not an NPZ file of plain arrays"),
    ],
    ids=["target", "lengths", "two", "complex", "empty", "objects"],
)
def test_archives_without_rows_and_classes(arrays, message, refusal):
    assert message in refusal("a.npz", npz(**arrays))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", "PK of no sort", "a.npz is not an NPZ file"),
        ("a.npz", "", "a.npz is not an NPZ file"),
        ("a.svm", "hello\n", "a.svm is not in svmlight's format"),
        ("a.parquet", "junk", "a.parquet cannot be read as a Parquet file"),
    ],
)
def test_files_that_are_not_what_their_ending_says(name, content, message, refusal):
    assert message in refusal(name, content)


def test_options_that_a_format_has_no_use_for(tmp_path):
    path = written(tmp_path, "a.svm")
    with pytest.raises(ValueError, match=r"a\.svm is no CSV file: leave --sep"):
        describe(path, options=ReadOptions(sep=";"))
    with pytest.raises(ValueError, match="no column 'kind'; there are y, column0, column1"):
        describe(path, "kind")


def test_columns_without_names_are_dropped_by_their_number(write):
    file = describe(write("a.npz", npz(X=np.where(X[7, 1] == X, np.inf, X), y=Y)), drop=["column1"])
    assert list(frames(file).X.columns) == ["column0", "column2", "column3"]


def test_question_marks_in_parquet(tmp_path):
    frame = pd.DataFrame({"u": [*map(str, range(38)), "?", "?"], "y": [*"ab"] * 20})
    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute(f"COPY frame TO '{path}'")
    with pytest.raises(ValueError, match=r"u \('\?' in 2 rows.*\n.*parquet --force"):
        describe(path)
    assert describe(path, force=True).n_features > 1


def test_one_name_twice_in_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = [pyarrow.array(values) for values in (X[:, 0], X[:, 1], Y)]
    parquet.write_table(pyarrow.Table.from_arrays(columns, ["u", "u", "y"]), tmp_path / "a.parquet")
    assert describe(tmp_path / "a.parquet").n_features == 2


def test_sparse_rows_that_do_not_fit_are_refused(refusal, monkeypatch):
    monkeypatch.setattr(machine, "memory_bytes", lambda: 2**34)
    text = refusal("a.svm", "".join(f"{i % 2} 1:1 1000000000:{i}\n" for i in range(9)))
    assert "9 rows of 1,000,000,000 features, 67.1 GiB as a dense array; the limit is" in text


def test_missing_values_of_an_array_are_imputed(write):
    holes = np.where(np.arange(240).reshape(60, 4) % 7 == 0, np.nan, X)
    file = describe(write("a.npz", npz(X=holes, y=Y)))
    parts = load(file, dtype="float64", seed=0)
    assert np.isfinite(parts.X).all()
    assert parts.X.shape[1] == file.n_features == 8  # and whether each was missing


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ValueError, match=r'needs no_such: pip install "fastlogit\[data\]"'):
        description.require("no_such", "reading a.csv")


def test_a_large_parquet_file_is_measured_on_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_LARGE", 3000)
    monkeypatch.setattr(formats, "_SAMPLED", 800)
    path = tmp_path / "it's large.parquet"
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1001, 2))
    frame = pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "y": np.where(x[:, 0] > 0, "a", "b")})
    frame.head(1000).to_parquet(path)
    assert describe(path).n_samples == 1000
    frame.to_parquet(path)
    file = describe(path)
    assert file.n_samples == 266
    assert "a large file: measured on a sample of its 1,001 rows" in file.findings
    parts, again = loading.frames(file), loading.frames(file)
    pd.testing.assert_frame_equal(parts.X, again.X)
    rows = set(map(tuple, frame[["u", "v"]].to_numpy()))
    assert set(map(tuple, parts.X.to_numpy())) < rows
    text = streamed.stream(file)
    assert re.fullmatch(r"One streamed fit, fastlogit: .* for all 1,001 rows, in \d passes", text)
    frame.loc[7, "v"] = np.nan
    frame.to_parquet(path)
    assert "X must be finite, got nan in column 'v', row 7" in streamed.stream(file)
    path.unlink()
    assert re.match(r"No fit to the whole file: .*large\.parquet", streamed.stream(file))
