import numpy as np
import pytest
from scipy.special import expit, softmax

from fastlogit.estimators.predicting import log_proba_from, logits_of, predicted_proba
from fastlogit.models import MODELS


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", list(MODELS))
def test_logits_and_probabilities_agree_with_plain_numpy(problem, model, dtype):
    given = problem(model, 23, 5, dtype=dtype)
    layer = given.X
    for weights, bias in zip(given.params[:-2:2], given.params[1:-2:2], strict=True):
        layer = expit(layer @ weights + bias)
    expected = layer @ given.params[-2] + given.params[-1]
    tolerance = {"rtol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12}
    logits = logits_of(given.params, given.X)
    np.testing.assert_allclose(logits, expected, **tolerance)
    if MODELS[model].binary:
        expected = np.hstack([np.zeros_like(expected), expected])
    proba = predicted_proba(model, given.params, given.X)
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba, softmax(expected, axis=1), **tolerance)
    np.testing.assert_allclose(np.exp(log_proba_from(logits)), proba, **tolerance)


def test_mixed_dtypes_give_the_wider_and_read_only_input_is_fine(problem):
    given = problem("logistic", 4, 3, dtype=np.float32)
    X = given.X.astype(np.float64)
    for array in (X, *given.params):
        array.setflags(write=False)
    assert predicted_proba("logistic", given.params, X).dtype == np.float64
    assert predicted_proba("logistic", given.params, np.arange(6).reshape(2, 3)).shape == (2, 2)


@pytest.mark.parametrize("name", ["logistic", "mlp-logistic"])
def test_parameters_of_no_model_are_left_to_numpy(problem, name):
    given = problem(name, 4, 3)
    assert predicted_proba(name, given.params, given.X) is not None
    assert predicted_proba(name, given.params, given.X[:, :2]) is None
    two_outputs = (*given.params[:-2], np.hstack([given.params[-2]] * 2), np.zeros(2))
    assert predicted_proba(name, two_outputs, given.X) is None
    scalar = (*given.params[:-1], np.array(0.5))
    assert predicted_proba(name, scalar, given.X) is None
    assert predicted_proba(name, [a.astype(np.longdouble) for a in given.params], given.X) is None


def test_logarithms_of_infinite_logits():
    logits = np.array([[0.0, -np.inf, 0.0], [1e4, 0.0, -1e4]])
    with np.errstate(divide="ignore"):
        expected = np.log(softmax(logits, axis=1))
    np.testing.assert_allclose(log_proba_from(logits)[0], expected[0])
    np.testing.assert_array_equal(log_proba_from(logits)[1], [0, -1e4, -2e4])
    with np.errstate(invalid="ignore"):
        assert np.isnan(log_proba_from(np.full((1, 3), np.nan))).all()
