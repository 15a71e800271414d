import subprocess
import sys

import numpy as np
import pytest

from fastlogit.benchmark import own_data

HASH_OF_THE_ROWS = """
import hashlib, sys
from fastlogit.benchmark import own_data
parts = own_data.load(own_data.describe(sys.argv[1]), dtype="float32", seed=5)
arrays = (parts.X, parts.y, parts.X_test, parts.y_test)
print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


def content(table, n=100):
    texts = ["red", "green", "blue", "amber"]
    return table(
        n, lambda i: i * i, lambda i: texts[i % 4], lambda i: "abc"[min(i % 5, 2)], header="x,t,y"
    )


def test_a_fifth_of_each_class_is_held_out(load, table):
    source, parts = load("a.csv", content(table))
    assert source.class_rows == (20, 20, 60)
    assert np.bincount(parts.y).tolist() == [16, 16, 48]
    assert np.bincount(parts.y_test).tolist() == [4, 4, 12]
    assert (source.n_samples, source.n_train) == (100, 80)
    assert parts.X.shape == (80, 5)
    assert parts.X_test.shape == (20, 5)


def test_the_smallest_classes_have_a_row_in_each_part(load, table):
    source, parts = load("a.csv", table(12, lambda i: i**2, lambda i: i // 2 % 3, header="x,y"))
    assert np.bincount(parts.y_test).tolist() == [1, 1, 1]
    lines = own_data.notes(source)
    assert lines[-1] == "with a single row to test on: 0, 1, 2"
    source, parts = load("a.csv", table(4, lambda i: i**2, lambda i: i % 2, header="x,y"))
    assert (np.bincount(parts.y).tolist(), np.bincount(parts.y_test).tolist()) == ([1, 1], [1, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_contiguous_and_of_the_type_asked_for(dtype, load, table):
    _, parts = load("a.csv", content(table), dtype=dtype)
    for array in (parts.X, parts.X_test):
        assert array.dtype == dtype
        assert array.flags.c_contiguous
    exact = load("a.csv", content(table))[1]
    np.testing.assert_allclose(parts.X, exact.X, rtol=1e-6, atol=1e-7)


def test_a_seed_chooses_the_rows_and_the_same_seed_the_same(load, table):
    first, again, other = (load("a.csv", content(table), seed=seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first.X_test, again.X_test)
    assert not np.array_equal(first.X_test, other.X_test)
    # The file's rows whatever the seed: squares scaled keep their differences' ratios.
    whole = np.sort(np.append(first.X[:, 0], first.X_test[:, 0]))
    steps = np.diff(whole) / (whole[1] - whole[0])
    np.testing.assert_allclose(steps, np.arange(1, 199, 2), rtol=1e-8)


def test_a_column_that_is_constant_in_training_is_zero_in_both_parts(load, table):
    # Whichever seed holds the one other row out makes the column constant.
    text = table(20, lambda i: int(i == 7), lambda i: i * i, lambda i: i % 2, header="a,x,y")
    found = 0
    for seed in range(12):
        _, parts = load("a.csv", text, seed=seed)
        if (parts.X[:, 0] == parts.X[0, 0]).all():
            found += 1
            assert not parts.X[:, 0].any()
            assert not parts.X_test[:, 0].any()
    assert 0 < found < 12


def test_another_process_loads_the_same(write, table):
    path = write("a.csv", content(table))
    hashes = {
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", HASH_OF_THE_ROWS, str(path)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_a_file_that_changes_under_way_is_refused(load, table, write):
    source, _ = load("a.csv", content(table))
    write("a.csv", content(table).replace("red", "rot"))
    with pytest.raises(ValueError, match=r"a\.csv has changed since the run began"):
        own_data.load(source, dtype="float32", seed=0)
    source.path.unlink()
    with pytest.raises(FileNotFoundError):
        own_data.load(source, dtype="float32", seed=0)
