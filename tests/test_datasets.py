"""Data sets by name: shapes, standardising, the two-class form, names that do not exist."""

import numpy as np
import pytest
from sklearn import datasets as sklearn_datasets

from fastlogit.datasets import TOY_SETS, check_name, load

GENERATED = [
    "classification-1000x2x2",
    "classification-40x1x2",
    "classification-7x3x3",
    "classification-33x4x10",
    "classification-500x64x10",
]
NAMES = [*TOY_SETS, *GENERATED]

SHAPES = {
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast_cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "moons": (1000, 2, 2),
    "circles": (1000, 2, 2),
    "blobs": (1000, 8, 5),
    "classification-1000x2x2": (1000, 2, 2),
    "classification-40x1x2": (40, 1, 2),
    "classification-7x3x3": (7, 3, 3),
    "classification-33x4x10": (33, 4, 10),
    "classification-500x64x10": (500, 64, 10),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_arrays(name, dtype):
    data = load(name, dtype=dtype)
    assert (*data.X.shape, data.n_classes) == SHAPES[name]
    assert data.name == name
    assert data.X.dtype == dtype
    assert data.X.flags.c_contiguous
    assert data.y.dtype == np.intp
    assert data.y.shape == data.X.shape[:1]
    assert np.array_equal(np.unique(data.y), np.arange(data.n_classes))


@pytest.mark.parametrize("name", NAMES)
def test_features_are_standardised(name):
    X = load(name).X
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=1e-12)
    scale = X.std(axis=0)
    varying = scale > 0
    np.testing.assert_allclose(scale[varying], 1.0, rtol=1e-12)
    assert varying.any()
    assert not X[:, ~varying].any()


def test_constant_features_become_zero():
    raw = sklearn_datasets.load_digits().data
    constant = raw.min(axis=0) == raw.max(axis=0)
    assert constant.any()
    assert np.array_equal(load("digits").X.std(axis=0) == 0, constant)


@pytest.mark.parametrize("name", NAMES)
def test_two_class_form_splits_the_classes_in_the_middle(name):
    full, binary = load(name), load(name, binary=True)
    assert binary.n_classes == 2
    assert np.array_equal(full.X, binary.X)
    assert np.array_equal(binary.y, full.y >= np.ceil(full.n_classes / 2))


def test_two_class_form_of_digits_is_five_to_nine():
    assert np.array_equal(load("digits", binary=True).y, sklearn_datasets.load_digits().target >= 5)


@pytest.mark.parametrize("name", ["moons", "circles", "blobs", "classification-100x5x3"])
def test_generated_sets_follow_the_seed(name):
    assert np.array_equal(load(name, seed=1).X, load(name, seed=1).X)
    assert not np.array_equal(load(name, seed=1).X, load(name, seed=2).X)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("irs", r"no data set 'irs' \(did you mean 'iris'\?\); there are iris, wine"),
        ("qqqqqq", r"no data set 'qqqqqq'; there are iris.* classification-<n>x<d>x<k>"),
        ("clasification-9x9x9", r"did you mean 'classification-<n>x<d>x<k>'"),
        ("classification-100x5", r"three sizes"),
        ("classification-100x0x2", r"three sizes"),
        ("classification-100x5x1", r"1 class; .* at least 2"),
        ("classification-3x5x2", r"3 rows for 2 classes; it needs at least 4"),
        ("classification-100x1x3", r"1 features; 3 classes need at least 2"),
    ],
)
def test_unknown_names_say_what_exists(name, message):
    with pytest.raises(ValueError, match=message):
        check_name(name)
    with pytest.raises(ValueError, match=message):
        load(name)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, "complex128"])
def test_dtype_must_be_a_supported_float(dtype):
    with pytest.raises(ValueError, match=r"dtype is .*; it must be float32 or float64"):
        load("iris", dtype=dtype)
