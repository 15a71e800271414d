import numpy as np
import pytest

# Largest difference of parameters, and of losses, from scikit-learn's after 30 epochs.
TOLERANCES = {np.float64: (1e-10, 1e-12), np.float32: (1e-4, 1e-6)}


@pytest.fixture(scope="session")
def largest_difference():
    """Return a function: the largest absolute difference of lists of arrays of equal shapes."""

    def difference(actual, expected):
        assert [np.shape(array) for array in actual] == [np.shape(array) for array in expected]
        return max(
            float(np.max(np.abs(np.asarray(a, float) - np.asarray(e, float))))
            for a, e in zip(actual, expected, strict=True)
        )

    return difference


@pytest.fixture
def assert_equal(largest_difference):
    """Return a check that a fit of our MLPClassifier equals scikit-learn's.

    It compares parameters, history and predictions.
    """

    def check(ours, theirs, X):
        assert ours.backend_ == "numba"
        dtype = ours.coefs_[0].dtype.type
        parameter_tolerance, loss_tolerance = TOLERANCES[dtype]
        params = ours.coefs_ + ours.intercepts_
        assert {array.dtype.type for array in params} == {dtype}
        assert largest_difference(params, theirs.coefs_ + theirs.intercepts_) <= parameter_tolerance
        for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
            assert getattr(ours, name) == getattr(theirs, name), name
        np.testing.assert_allclose(
            ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=loss_tolerance
        )
        assert ours.loss_ == ours.loss_curve_[-1]
        for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
            expected = getattr(theirs, name)
            if expected is None:
                assert getattr(ours, name) is None, name
            else:
                np.testing.assert_allclose(
                    getattr(ours, name), expected, rtol=0, atol=loss_tolerance
                )
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(
            ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=parameter_tolerance
        )

    return check
