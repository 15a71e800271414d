import numpy as np
import pytest


@pytest.fixture(scope="session")
def largest_difference():
    """Give the largest absolute difference between lists of arrays of equal shapes."""

    def difference(actual, expected):
        assert [np.shape(array) for array in actual] == [np.shape(array) for array in expected]
        return max(
            float(np.max(np.abs(np.asarray(a, float) - np.asarray(e, float))))
            for a, e in zip(actual, expected, strict=True)
        )

    return difference
