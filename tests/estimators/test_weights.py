import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from fastlogit.estimators.weights import row_weight, with_class_weight

CLASSES = np.array(["a", "b", "c"])
Y = np.array([0, 2, 1, 1, 1, 2])


def test_no_class_weight_leaves_the_rows_weights():
    weight = np.arange(6.0)
    assert with_class_weight(None, CLASSES, Y, weight) is weight
    assert with_class_weight(None, CLASSES, Y, None) is None


def test_dict_multiplies_and_leaves_its_input():
    weight = np.arange(6.0)
    by_class = {"a": 2.0, "b": 3.0, "c": 0.0}
    np.testing.assert_array_equal(
        with_class_weight(by_class, CLASSES, Y, weight), weight * [2, 0, 3, 3, 3, 0]
    )
    np.testing.assert_array_equal(weight, np.arange(6))
    np.testing.assert_array_equal(with_class_weight({"b": 5}, CLASSES, Y, None), [1, 1, 5, 5, 5, 1])


@pytest.mark.parametrize("weight", [None, np.arange(1.0, 7.0)])
def test_balanced_equals_scikit_learn(weight):
    by_class = compute_class_weight("balanced", classes=CLASSES, y=CLASSES[Y], sample_weight=weight)
    expected = by_class[Y] * (1 if weight is None else weight)
    np.testing.assert_allclose(with_class_weight("balanced", CLASSES, Y, weight), expected)


def test_balanced_makes_the_classes_sums_equal_and_leaves_out_those_without_rows():
    weight = with_class_weight("balanced", np.arange(4), Y, None)
    np.testing.assert_allclose(np.bincount(Y, weight), [2, 2, 2])


def test_unknown_class_raises():
    with pytest.raises(ValueError, match="are not in class_weight"):
        with_class_weight({"z": 1.0}, CLASSES, Y, None)


def test_row_weight_is_empty_without_weights():
    assert row_weight(None, np.float32).shape == (0,)
    assert row_weight(np.ones(2), np.float32).dtype == np.float32
