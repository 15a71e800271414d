import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from fastlogit.benchmark.data_file import describe, facts, frames, load, notes


@pytest.fixture
def passengers(tmp_path):
    """A table as people have them: texts, categories, missing numbers, a counter."""
    rng, n = np.random.default_rng(0), 150
    sex = np.where(rng.random(n) < 0.6, "male", "female")
    frame = pd.DataFrame({
        "PassengerId": np.arange(1, n + 1), "Survived": (rng.random(n) < 0.4).astype(int),
        "Name": [f"Smith, Mr{'s' * (s == 'female')}. John {i}" for i, s in enumerate(sex)],
        "Sex": sex, "Age": np.where(rng.random(n) < 0.2, np.nan, rng.integers(1, 80, n)),
        "Ticket": [f"A/5 {i * 37 % 140}" if i % 4 == 0 else i * 37 % 149 for i in range(n)],
        "Born": pd.date_range("1850-01-01", periods=n, freq="77D"),
        "Embarked": rng.choice(["S", "C", None], n),
    })  # fmt: skip
    frame.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def test_columns_of_all_kinds(passengers):
    file = describe(passengers, "Survived")
    for finding in (
        "left out: PassengerId (counts the rows)", "numbers: 1 column (Age)",
        "categories, one-hot encoded: 2 columns (Sex, Embarked)", "dates: 1 column (Born)",
        "texts of many values: 2 columns (Name, Ticket)",
        "missing values are imputed: 2 columns (Age, Embarked)",
    ):  # fmt: skip
        assert finding in file.findings
    parts = load(file, dtype="float32", seed=0)
    assert parts.X.shape == (file.n_train, file.n_features) == (120, file.n_features)
    assert parts.X_test.shape == (file.n_test, file.n_features) == (30, file.n_features)
    assert parts.X.dtype == parts.X_test.dtype == np.float32
    assert parts.X.flags.c_contiguous
    assert np.isfinite(parts.X).all()
    assert np.isfinite(parts.X_test).all()
    again = load(pickle.loads(pickle.dumps(file)), dtype="float32", seed=3)  # noqa: S301
    assert np.array_equal(parts.X, again.X)
    assert np.array_equal(parts.y_test, again.y_test)


@pytest.fixture
def numbers(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(3, 5, (100, 3)), columns=[*"uvw"])
    frame = frame.assign(y=np.array(["a", "b", "c"])[np.arange(100) % 3])
    frame.to_csv(tmp_path / "a.csv", index=False)
    return frame, describe(tmp_path / "a.csv")


def test_numbers_are_scaled_by_the_training_rows(numbers):
    frame, file = numbers
    train, test = train_test_split(frame, test_size=20, random_state=0, stratify=frame["y"])
    mean, scale = train.iloc[:, :3].mean(), train.iloc[:, :3].std(ddof=0)
    parts = load(file, dtype="float64", seed=0)
    for X, y, expected in ((parts.X, parts.y, train), (parts.X_test, parts.y_test, test)):
        np.testing.assert_allclose(X, (expected.iloc[:, :3] - mean) / scale, rtol=1e-9, atol=1e-12)
        assert np.array(file.classes)[y].tolist() == expected["y"].tolist()


def test_frames_are_as_the_file_has_them(numbers):
    frame, file = numbers
    parts = frames(file)
    pd.testing.assert_frame_equal(
        pd.concat([parts.X, parts.X_test]).sort_index(), frame[[*"uvw"]], check_exact=False
    )
    assert parts.y.tolist() == frame["y"][parts.X.index].tolist()


def test_small_files_have_a_test_row_for_each_class(tmp_path):
    classes = [f"k{i // 2}" for i in range(8)]
    pd.DataFrame({"u": range(0, 16, 2), "y": classes}).to_csv(tmp_path / "a.csv", index=False)
    file = describe(tmp_path / "a.csv")
    assert (file.n_samples, file.n_test, file.n_train) == (8, 4, 4)
    parts = load(file, dtype="float64", seed=0)
    assert sorted(parts.y) == sorted(parts.y_test) == [0, 1, 2, 3]


def test_a_file_that_changed_since_is_refused(numbers):
    _, file = numbers
    file.path.write_text(file.path.read_text() + "1,2,3,a\n")
    with pytest.raises(ValueError, match=r"a\.csv has changed since the run began"):
        load(file, dtype="float64", seed=0)


def test_notes_and_facts(numbers):
    _, file = numbers
    assert notes(file)[0] == "a.csv: 100 rows, 3 features, 3 classes (a 34, b 33, c 33)"
    assert notes(file)[-1] == "80 rows are trained on, 20 are test rows"
    found = facts(file)
    assert found["classes"] == {"a": 34, "b": 33, "c": 33}
    assert (found["file"], found["n_train"], found["n_features"]) == ("a.csv", 80, 3)
    assert str(file.path.parent) not in str(found)
    assert hash(file) == hash(describe(file.path))


def test_a_column_of_missing_values_only(tmp_path):
    frame = pd.DataFrame({"u": np.arange(40) ** 2, "v": np.nan, "y": [*"ab"] * 20})
    frame.to_csv(tmp_path / "a.csv", index=False)
    parts = load(describe(tmp_path / "a.csv"), dtype="float64", seed=0)
    assert np.isfinite(parts.X).all()


@pytest.mark.slow
def test_thousands_of_genes(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(801, 20531)), columns=[f"gene_{i}" for i in range(20531)])
    frame.insert(0, "sample", [f"sample_{i}" for i in range(801)])
    frame["Class"] = np.array([*"abcde"])[np.arange(801) % 5]
    frame.to_csv(tmp_path / "genes.csv", index=False, float_format="%.4f")
    file = describe(tmp_path / "genes.csv")
    assert (file.n_samples, file.n_features) == (801, 20531)
    assert load(file, dtype="float32", seed=0).X.shape == (640, 20531)
