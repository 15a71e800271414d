"""Rows, labels and weights for the kernels."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight

from fastlogit.estimators.rows import apply_class_weight, is_sparse, kernel_rows
from fastlogit.models.checks import class_indices


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.eye(2), False),
        ([[1.0, 2.0]], False),
        (pd.DataFrame(np.eye(2)), False),
        (sparse.coo_array(np.eye(2)), True),
        (sparse.csr_matrix(np.eye(2)), True),
        (pd.DataFrame.sparse.from_spmatrix(sparse.eye_array(2)), True),
    ],
)
def test_is_sparse(X, expected):
    assert is_sparse(X) is expected


# Row weights and labels


CLASSES = np.array(["a", "b", "c"])
Y = np.array([0, 2, 1, 1, 1, 2])


def test_no_class_weight_leaves_the_rows_weights():
    weight = np.arange(6.0)
    assert apply_class_weight(None, CLASSES, Y, weight) is weight
    assert apply_class_weight(None, CLASSES, Y, None) is None


def test_dict_multiplies_and_leaves_its_input():
    weight = np.arange(6.0)
    by_class = {"a": 2.0, "b": 3.0, "c": 0.0}
    np.testing.assert_array_equal(
        apply_class_weight(by_class, CLASSES, Y, weight), weight * [2, 0, 3, 3, 3, 0]
    )
    np.testing.assert_array_equal(weight, np.arange(6))
    np.testing.assert_array_equal(
        apply_class_weight({"b": 5}, CLASSES, Y, None), [1, 1, 5, 5, 5, 1]
    )


@pytest.mark.parametrize("weight", [None, np.arange(1.0, 7.0)])
def test_balanced_equals_scikit_learn(weight):
    by_class = compute_class_weight("balanced", classes=CLASSES, y=CLASSES[Y], sample_weight=weight)
    expected = by_class[Y] * (1 if weight is None else weight)
    np.testing.assert_allclose(apply_class_weight("balanced", CLASSES, Y, weight), expected)


def test_balanced_makes_the_classes_sums_equal_and_leaves_out_those_without_rows():
    weight = apply_class_weight("balanced", np.arange(4), Y, None)
    np.testing.assert_allclose(np.bincount(Y, weight), [2, 2, 2])


def test_unknown_class_raises():
    with pytest.raises(ValueError, match="are not in class_weight"):
        apply_class_weight({"z": 1.0}, CLASSES, Y, None)


def test_weights_of_kernel_rows_are_empty_without_any():
    X, y = np.eye(2), np.arange(2)
    assert kernel_rows(X, y, None, np.float32).weight.shape == (0,)
    rows = kernel_rows(X, y, np.ones(2), np.float32)
    assert rows.weight.dtype == rows.X.dtype == np.float32


@pytest.mark.parametrize("weight", [np.zeros(2), np.full(2, 1e-50), np.full(2, 1e39)])
def test_weights_that_no_loss_can_be_divided_by_are_refused(weight):
    with pytest.raises(ValueError, match=r"my_weight sums to \S+"):
        kernel_rows(np.eye(2), np.arange(2), weight, np.float32, "my_weight")


def test_class_indices():
    classes = np.array([2, 5, 9])
    np.testing.assert_array_equal(class_indices(classes, [9, 2, 2, 5]), [2, 0, 0, 1])
    for strange in (1, 3, 10):
        with pytest.raises(ValueError, match=f"y_new holds the label {strange}, which"):
            class_indices(classes, [2, strange], "y_new")
    with pytest.raises(ValueError, match="holds the label 'x'"):
        class_indices(classes, np.array(["x"]))
    for strange in ([None, 2], np.array([2, "a"], object)):
        with pytest.raises(ValueError, match="y_val must hold labels of classes_"):
            class_indices(classes, strange, "y_val")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = np.array(["a", "b"], object)
        np.testing.assert_array_equal(class_indices(names, ["b", "a"]), [1, 0])
