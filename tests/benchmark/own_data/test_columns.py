import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlogit.benchmark import own_data
from fastlogit.benchmark.own_data import limits
from fastlogit.benchmark.own_data.columns import encode
from fastlogit.benchmark.own_data.readers import Table


def spread(row):
    return row * row % 17 + 0.5


def kind(row):
    return row % 2


def test_texts_become_a_feature_a_value(load, table):
    sizes = ["small", "large", "medium"]
    content = table(60, spread, lambda i: sizes[i % 3], kind, header="x,size,y")
    source, parts = load("a.csv", content)
    assert source.n_features == 4
    assert "one-hot encoded: size (3 values)" in source.notes
    one_hot = np.vstack([parts.X, parts.X_test])[:, 1:]
    assert set(np.unique(one_hot)) == {0.0, 1.0}
    assert (one_hot.sum(axis=1) == 1).all()
    # In the order of the values: large, medium, small, each in 20 of the 60 rows.
    assert one_hot.sum(axis=0).tolist() == [20, 20, 20]


def test_two_values_become_one_feature(load, table):
    content = table(
        60, lambda i: ["no", "yes"][i % 3 == 0], lambda i: i % 4 == 0, kind, header="s,b,y"
    )
    source, parts = load("a.csv", content)
    assert source.n_features == 2
    assert "two values, as 0 and 1: s (no, yes), b (False, True)" in source.notes
    both = np.vstack([parts.X, parts.X_test])
    assert both.sum(axis=0).tolist() == [20, 15]


def test_numbers_are_scaled_by_the_training_rows_alone(load, table):
    _, parts = load("a.csv", table(100, spread, lambda i: i**3, kind, header="a,b,y"))
    np.testing.assert_allclose(parts.X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(parts.X.std(axis=0), 1, rtol=1e-12)
    assert (np.abs(parts.X_test.mean(axis=0)) > 1e-3).all()


def test_columns_that_say_nothing_are_left_out(load, table):
    content = table(
        30, lambda i: 7, lambda i: "same", lambda i: True, lambda i: i + 1, spread, kind,
        header="number,text,flag,Id,x,y",
    )  # fmt: skip
    source, _ = load("a.csv", content)
    assert source.n_features == 1
    assert "left out, the same in every row: number, text, flag" in source.notes
    assert "left out, it only counts the rows: Id" in source.notes


@pytest.mark.parametrize("first", [0, 1, 1000, -3, 0.5])
def test_a_counter_is_one_from_whatever_number(first, load, table):
    source, _ = load("a.csv", table(30, lambda i: first + i, spread, kind, header="n,x,y"))
    assert source.n_features == 1
    assert "left out, it only counts the rows: n" in source.notes


def test_many_columns_are_not_all_named():
    features = pd.DataFrame(np.ones((20, 500)), columns=[f"c{i}" for i in range(500)])
    features["x"] = np.arange(20) % 7
    encoded = encode(Table(features, pd.Series(np.arange(20) % 2), "y"), "a.csv")
    assert encoded.n_features == 1
    assert encoded.notes[0].endswith("c6, c7, and 492 more")


@pytest.mark.parametrize("huge", [10**19, 10**30])
def test_integers_of_any_size_are_numbers(huge, load, table):
    source, parts = load("a.csv", table(40, lambda i: i * i % 11 * huge, kind, header="x,y"))
    assert source.n_features == 1
    plain = load("b.csv", table(40, lambda i: i * i % 11, kind, header="x,y"))[1]
    np.testing.assert_allclose(parts.X, plain.X, rtol=1e-9, atol=1e-9)


def test_numbers_in_quotes_are_numbers(load, table):
    source, _ = load("a.csv", table(40, lambda i: f'"{i * i}"', kind, header="x,y"))
    assert source.n_features == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda i: "" if i == 3 else spread(i), "misses 1 of 40 values (empty, NA, NaN, None"),
        (lambda i: "NaN" if i < 3 else spread(i), "misses 3 of 40 values"),
        (lambda i: "" if i == 3 else "ab"[i % 2], "misses 1 of 40 values"),
        (lambda i: "" if i == 3 else i % 3 == 0, "misses 1 of 40 values"),
        (lambda i: "", "misses 40 of 40 values"),
        (lambda i: "-inf" if i in (3, 5) else spread(i), "has 2 infinite values"),
        (lambda i: f"{i}e200", "has values up to 3.9e+201; beyond 1e+150 none can be scaled"),
        (lambda i: f"-{i + 1}e200", "has values up to -4e+201; beyond 1e+150"),
        (lambda i: f"name {i:02d}", "has 40 different texts, more than 20: an identifier or free"),
        (lambda i: "word " * (i + 9), "'word word word word word wo...'"),
        (lambda i: "?" if i == 3 else i * i, "mixes numbers with text such as '?'"),
        (lambda i: f'"{i},5"', "has numbers with a comma such as '0,5'; write them with a point"),
        (lambda i: f"2020-01-{i % 30 + 1:02d}", "holds dates or times such as '2020-01-01'"),
        (lambda i: f"2020-01-{i % 3 + 1:02d}", "holds dates or times such as '2020-01-01'"),
        (lambda i: f"2020-01-01T{i % 2}1:00", "holds dates or times such as '2020-01-01T01:00'"),
        (lambda i: 10**400 + i, "has integers too large for any number"),
        (lambda i: i if i else 10**400, "has integers too large for any number"),
    ],
)
def test_columns_that_cannot_be_used(values, message, refusal, table):
    text = refusal("a.csv", table(40, values, spread, kind, header="bad one,x,y"))
    assert text.startswith("cannot train on a.csv: column 'bad one' ")
    assert message in text


def test_everything_wrong_is_said_at_once(refusal, table):
    content = table(
        40, lambda i: f"n{i}", lambda i: "" if i else 1, lambda i: i / 7, header="name,age,y"
    )
    text = refusal("a.csv", content)
    for part in ("the target 'y' has numbers such as 0.142857, a quantity", "'name'", "'age'"):
        assert part in text
    assert text.endswith("; --drop COLUMN leaves one out")


def test_only_what_can_be_left_out_is_offered_to_be(refusal, table):
    assert "--drop" not in refusal("a.csv", table(40, spread, lambda i: 1, header="a,y"))
    assert "--drop" not in refusal("a.svm", "0 1:nan\n1 1:2\n0 1:3\n1 1:5\n")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda i: "" if i == 3 else i % 2, "misses 1 of 40 values"),
        (lambda i: i * 0.3, "has numbers such as 0.3, a quantity: this is classification"),
        (lambda i: "inf" if i == 3 else i % 2, "has numbers such as inf, a quantity"),
        (lambda i: i, "has 40 different values in 40 rows: a quantity or an identifier"),
        (lambda i: 1, "has one class only, 1"),
        (lambda i: "rare" if i == 3 else "often", "has a single row for 'rare'; every class needs"),
        (lambda i: f"{i % 2}e30", "has values up to 1e+30, too large to name classes"),
        (lambda i: 10**400 + i % 2, "has integers too large for any number"),
    ],
)
def test_targets_that_name_no_classes(values, message, refusal, table):
    text = refusal("a.csv", table(40, spread, lambda i: i % 5, values, header="a,b,y"))
    assert text.startswith("cannot train on a.csv: the target 'y' ")
    assert message in text


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (lambda i: ["no", "yes"][i % 2], ("no", "yes")),
        (lambda i: i % 2 == 1, ("False", "True")),
        (lambda i: [-1, 1][i % 2], ("-1", "1")),
        (lambda i: [1.0, 2.0][i % 2], ("1", "2")),
        (lambda i: [2, 10][i % 2], ("2", "10")),
        (lambda i: [2**60, 2**60 + 1][i % 2], (str(2**60), str(2**60 + 1))),
        (lambda i: ["é", "ß"][i % 2 == 0], ("ß", "é")),
    ],
)
def test_targets_become_class_indices(values, classes, load, table):
    source, parts = load("a.csv", table(40, spread, values, header="a,y"))
    assert source.classes == classes
    assert (parts.y.dtype, set(parts.y)) == (np.intp, {0, 1})
    # Both classes in turn in the file, and a fifth of each held out.
    assert np.bincount(parts.y).tolist() == [16, 16]


def test_texts_that_take_more_than_the_memory(load, table, monkeypatch):
    monkeypatch.setattr(limits.machine, "memory_bytes", lambda: 4 * 100 * 8 * 3)
    load("a.csv", table(100, spread, lambda i: "ab"[i % 2], kind, header="x,t,y"))
    with pytest.raises(ValueError, match=r"a\.csv has 100 rows of 6 features: written out .* GiB"):
        load("a.csv", table(100, spread, lambda i: "abcde"[i % 5], kind, header="x,t,y"))


def test_a_sparse_file_that_does_not_fit_is_refused_before_it_is_written_out(refusal):
    text = refusal("a.svm", "".join(f"{i % 2} 1:1 1000000000:{i}\n" for i in range(9)))
    assert "a.svm has 9 rows of 1,000,000,000 features: written out they take 67.1 GiB" in text


COLUMNS = {
    "number": [1.5, -2.0, 1e6, 0.25] * 8,
    "count": [3, 3, 1, 2, 7, 8, 9, 1] * 4,
    "text": ["red", "green", "blue", "blue"] * 8,
    "flag": [True, False, False, True] * 8,
    "same": [1] * 32,
    "y": ["p", "q", "q", "r"] * 8,
}


@settings(deadline=None, max_examples=30)
@given(st.permutations(list(COLUMNS)))
def test_shuffled_columns_change_nothing_but_the_order_of_features(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("columns")
    loaded = []
    for columns in (list(COLUMNS), order):
        pd.DataFrame(COLUMNS)[columns].to_csv(folder / "a.csv", index=False)
        source = own_data.describe(folder / "a.csv", "y")
        assert (source.n_features, source.class_rows) == (6, (8, 16, 8))
        parts = own_data.load(source, dtype="float64", seed=0)
        slots, position = {}, 0
        for column in columns:
            width = {"text": 3, "same": 0, "y": 0}.get(column, 1)
            slots[column] = list(range(position, position + width))
            position += width
        features = [slot for column in COLUMNS for slot in slots[column]]
        loaded.append((parts.X[:, features], parts.y, parts.X_test[:, features], parts.y_test))
    for ours, theirs in zip(*loaded, strict=True):
        assert np.array_equal(ours, theirs)
