import io
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file

from fastlogit.benchmark import own_data
from fastlogit.benchmark.own_data import readers

ROWS = "length;width;kind\n" + "".join(f"{i % 7}.5;{i * i};{'ab'[i % 2]}\n" for i in range(40))


NAMED_CLASSES = np.array(["setosa", "versicolor", "virginica"])
X = np.random.default_rng(0).normal(size=(150, 4))
Y = np.arange(150) * 7 % 3


def frame_of_rows():
    frame = pd.DataFrame(X, columns=["sepal length", "sepal width", "petal length", "petal width"])
    return frame.assign(species=NAMED_CLASSES[Y])


def written(name, tmp_path):
    """Write the rows in the format that a name's ending says."""
    path = tmp_path / name
    if ".csv" in name.lower():
        frame_of_rows().to_csv(path, index=False)
    elif ".tsv" in name:
        frame_of_rows().to_csv(path, index=False, sep="\t")
    elif name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
        frame_of_rows().to_parquet(path)
    elif name.endswith(".npz"):
        np.savez(path, X=X, y=Y)
    else:
        dump_svmlight_file(X, Y, str(path), zero_based=False)
    return path


NAMES = ["iris.csv", "iris.CSV", "iris.csv.gz", "iris.tsv", "iris.tsv.gz", "iris.parquet"]
BARE_NAMES = ["iris.npz", "iris.svm", "iris.svmlight", "iris.libsvm"]


@pytest.mark.parametrize("name", NAMES + BARE_NAMES)
def test_every_format_gives_the_same_rows(name, tmp_path):
    target = "species" if name in NAMES else None
    source = own_data.describe(written(name, tmp_path), target)
    assert (source.name, source.n_samples, source.n_features) == ("iris", 150, 4)
    assert source.classes == (tuple(NAMED_CLASSES) if target else ("0", "1", "2"))
    assert source.class_rows == (50, 50, 50)
    parts = own_data.load(source, dtype="float64", seed=3)
    # Scaling keeps the order of the first feature's values, so it tells which row is which.
    ranks = np.argsort(np.argsort(np.append(parts.X[:, 0], parts.X_test[:, 0])))
    train, test = np.split(np.argsort(X[:, 0])[ranks], [120])
    mean, scale = X[train].mean(axis=0), X[train].std(axis=0)
    for ours, their_labels, rows in ((parts.X, parts.y, train), (parts.X_test, parts.y_test, test)):
        np.testing.assert_allclose(ours, (X[rows] - mean) / scale, rtol=1e-9, atol=1e-12)
        assert np.array_equal(their_labels, Y[rows])
        assert (np.diff(rows) > 0).all()


def test_packed_svmlight(tmp_path, write):
    plain = written("iris.svm", tmp_path).read_bytes()
    source = own_data.describe(write("again.svm.gz", plain))
    assert (source.n_samples, source.n_features) == (150, 4)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter, write):
    source = own_data.describe(write("a.csv", ROWS.replace(";", delimiter)), "kind")
    assert (source.n_features, source.classes) == (2, ("a", "b"))


def test_a_delimiter_within_quotes_is_text(write, table):
    content = table(20, lambda i: i % 3 + 0.5, lambda i: "xy"[i % 2], header='"a;b;c",kind')
    assert own_data.describe(write("a.csv", content), "kind").n_features == 1


def test_a_mark_at_the_start_of_the_file_is_no_part_of_the_first_name(write):
    source = own_data.describe(write("a.csv", b"\xef\xbb\xbf" + ROWS.encode()), "kind", ["length"])
    assert source.n_features == 1


@pytest.mark.parametrize(
    "name", ["größe", "名前", "a b", "tar,get", 'the "kind"', "two\nlines", "λ"]
)
def test_names_of_all_sorts(name, tmp_path):
    frame = pd.DataFrame({"x": np.arange(20) % 7, name: ["p", "q"] * 10})
    frame.to_csv(tmp_path / "a.csv", index=False)
    source = own_data.describe(tmp_path / "a.csv", name)
    assert (source.target, source.classes) == (name, ("p", "q"))


def test_spaces_around_names_and_before_values_do_not_count(write):
    content = "x, the kind ,c\n" + "1, yes, 2\n3, no, 5\n" * 10
    source = own_data.describe(write("a.csv", content), "the kind")
    assert (source.target, source.classes) == ("the kind", ("no", "yes"))
    assert own_data.describe(source.path, " the kind ") == source


def test_quoted_values_may_have_newlines_and_delimiters(write):
    content = "x,text,y\n" + '1,"two\nlines",0\n2,"a, b",1\n3,"two\nlines",1\n4,"a, b",0\n' * 3
    source = own_data.describe(write("a.csv", content))
    assert (source.n_samples, source.n_features) == (12, 2)


@pytest.mark.parametrize("name", ["target", "label", "Class", "y"])
def test_a_target_is_known_by_its_name(name, write):
    source = own_data.describe(write("a.csv", ROWS.replace("kind", name)))
    assert source.target == name
    assert f"the target is the column {name!r}, by its name" in source.notes


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\n1,2\n", "a.csv is empty or begins with an empty line"),
        ("a.csv.gz", "", "a.csv.gz is empty"),
        ("a.csv", "a,b,y\n", "a.csv has a header and no rows"),
        ("a.csv", "a,b,a,y\n1,2,3,4\n", "a.csv has 2 columns named 'a'"),
        ("a.csv", "a,b, a ,y\n1,2,3,4\n", "a.csv has 2 columns named 'a'"),
        ("a.csv", "a,,y\n1,2,3\n", "column 2 of a.csv has no name"),
        ("a.csv", "1,2.5,0\n1,2,1\n", "the first line of a.csv holds numbers (1, 2.5, 0 ...)"),
        ("a.csv", "a,y\n1,2,3\n1,2,3\n", "the rows of a.csv have more fields than its header"),
        ("a.csv", "a,y\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        ("a.csv", "a,y\n\xe9,2\n".encode("latin-1"), "a.csv is not UTF-8 text"),
        ("a.csv", ROWS.encode("utf-16"), "a.csv is not UTF-8 text"),
        ("a.csv", ROWS, "which column of a.csv names the classes? Say it with --target; there are"),
        ("a.csv", "y,label\n1,2\n", "which column of a.csv names the classes?"),
        ("a.npz", b"PK of no sort", "a.npz is not an NPZ file"),
        ("a.svm", "hello\n", "a.svm is not in svmlight's format"),
        ("a.svm", "# nothing\n", "a.svm has no rows or no features"),
        ("a.xlsx", "PK", "a.xlsx has no ending of a format that can be read; there are .csv, "),
        ("a.npz.gz", "PK", "a.npz.gz has no ending of a format that can be read"),
        ("a", "x", "a has no ending of a format that can be read"),
    ],
)
def test_files_that_are_not_what_they_should_be(name, content, message, refusal):
    # An empty file packed is not empty.
    if name == "a.csv.gz":
        message = "a.csv.gz is empty or begins with an empty line"
    assert message in refusal(name, content)


def test_a_packed_file_that_is_none_or_is_cut_off(tmp_path, write):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"a,b,y\n")
    with pytest.raises(ValueError, match=r"a\.csv\.gz is not a whole gzip file"):
        own_data.describe(path)
    whole = write("a.csv.gz", ROWS * 100).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.csv\.gz is not a whole gzip file"):
        own_data.describe(path, "kind")


def test_a_wrong_target_and_the_nearest(refusal):
    message = refusal("a.csv", ROWS, "knd")
    assert message == "no column 'knd' (did you mean 'kind'?); there are length, width, kind"


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*none\.csv: No such file or directory"):
        own_data.describe(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=r"cannot read .*folder\.csv: Is a directory"):
        own_data.describe(tmp_path / "folder.csv")


def test_columns_can_be_left_out(write, refusal):
    source = own_data.describe(write("a.csv", ROWS), "kind", ["width"])
    assert (source.n_features, source.drop) == (1, ("width",))
    assert "left out as asked: width" in source.notes
    assert "did you mean 'width'" in refusal("a.csv", ROWS, "kind", ["with"])
    assert "is the target and cannot be left out" in refusal("a.csv", ROWS, "kind", ["kind"])
    assert "no column is left" in refusal("a.csv", ROWS, "kind", ["length", "width"])


def test_a_row_index_without_a_name_is_left_out(tmp_path):
    frame = frame_of_rows().sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "a.csv")
    source = own_data.describe(tmp_path / "a.csv", "species")
    assert source.n_features == 4
    assert "left out: the first column, a row index without a name" in source.notes
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "a.parquet")
    assert own_data.describe(tmp_path / "a.parquet", "species").n_features == 4


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


FEW, KINDS = X[:20, :3], np.arange(20) % 2


def test_arrays_by_other_names(write):
    assert own_data.describe(write("a.npz", npz(rows=FEW, kind=KINDS)), "kind").n_features == 3
    assert own_data.describe(write("a.npz", npz(X=FEW, other=FEW, y=KINDS))).n_features == 3
    for name in ("target", "Label"):
        source = own_data.describe(write("a.npz", npz(data=FEW, **{name: KINDS})))
        assert (source.target, source.n_features) == (name, 3)


@pytest.mark.parametrize("kinds", [KINDS, np.array(["no", "yes"])[KINDS]])
def test_arrays_of_another_machine_s_byte_order(kinds, write):
    swapped = npz(X=FEW.astype(">f8"), y=kinds.astype(kinds.dtype.newbyteorder(">")))
    loaded = [
        own_data.load(own_data.describe(write("a.npz", content)), dtype="float64", seed=0)
        for content in (npz(X=FEW, y=kinds), swapped)
    ]
    assert np.array_equal(loaded[0].X, loaded[1].X)
    assert np.array_equal(loaded[0].y, loaded[1].y)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": FEW}, "which array of a.npz names the classes? Say it with --target; there are X"),
        ({"y": KINDS}, "must have the rows in an array X of two dimensions; it holds y int64[20]"),
        ({"a": FEW, "b": FEW, "y": KINDS}, "must have the rows in an array X of two dimensions"),
        ({"X": FEW, "y": KINDS[1:]}, "has shape (19,); for the 20 rows of 'X' it must be (20,)"),
        ({"X": FEW, "y": FEW}, "has shape (20, 3); for the 20 rows of 'X' it must be (20,)"),
        ({"X": FEW[:0], "y": KINDS[:0]}, "has no rows: 'X' has shape (0, 3)"),
        ({"X": FEW.astype(object), "y": KINDS}, "a.npz cannot be read: Object arrays"),
        ({"X": FEW * 1j, "y": KINDS}, "column '0' holds complex numbers"),
        ({}, "which array of a.npz names the classes? Say it with --target; there are none"),
        ({"X": FEW, "y": KINDS, "label": KINDS}, "there are X, y, label"),
        (
            {"X": FEW, "y": KINDS.astype([("a", "i8")])},
            "array 'y' of a.npz has fields (a); it must",
        ),
        (
            {"X": FEW.astype([("a", "f8"), ("b", "f8")]), "y": KINDS},
            "array 'X' of a.npz has fields",
        ),
    ],
)
def test_arrays_that_do_not_fit(arrays, message, refusal):
    assert message in refusal("a.npz", npz(**arrays))


def test_formats_without_names_refuse_them(refusal):
    assert "--target 'y' is for formats with named columns" in refusal("a.svm", "1 1:2\n", "y")
    assert "'b' cannot be left out" in refusal("a.svm", "1 1:2\n", drop=["b"])
    assert "'b' cannot be left out" in refusal("a.npz", npz(X=FEW, y=KINDS), drop=["b"])


def test_parquet_types(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "text": pd.Categorical(["red", "green", "blue"] * 10),
            "sized": np.arange(30, dtype=np.uint8)[::-1],
            "price": [Decimal(i * i) / 4 for i in range(30)],
            "maybe": pd.array([1, 2, 3] * 10, dtype="Int64"),
            "flag": [True, False] * 15,
            "kind": [False, False, True] * 10,
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    source = own_data.describe(tmp_path / "a.parquet", "kind")
    assert (source.n_features, source.classes) == (3 + 4, ("False", "True"))
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(range(30), "h")
    frame["list"] = [[1, 2]] * 30
    frame["raw"] = [b"x"] * 30
    frame["maybe"] = pd.array([1, None, 3] * 10, dtype="Int64")
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="cannot train on") as caught:
        own_data.describe(tmp_path / "a.parquet", "kind")
    for message in (
        "column 'when' holds dates or times",
        "column 'list' holds values of the type ndarray",
        "column 'raw' holds values of the type bytes",
        "column 'maybe' misses 10 of 30 values",
    ):
        assert message in str(caught.value)


def test_parquet_files_that_are_none(refusal, tmp_path):
    pytest.importorskip("pyarrow")
    assert "a.parquet is not a Parquet file" in refusal("a.parquet", b"PAR?", "y")
    pd.DataFrame({"x": [], "y": []}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has no rows"):
        own_data.describe(tmp_path / "b.parquet")


def test_parquet_without_its_library(refusal, monkeypatch):
    monkeypatch.setattr(readers.importlib.util, "find_spec", lambda name: None)
    message = refusal("a.parquet", b"PAR1", "y")
    assert (
        'needs pyarrow, which is not installed; install it with: pip install "fastlogit' in message
    )
