from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

from fastlogit.estimators.predicting import predicted_proba
from fastlogit.estimators.validation_split import ValidationSplit, split
from fastlogit.models import MODELS, Rows


def early_stopping(fraction):
    return SimpleNamespace(n_threads=1, early_stopping=True, validation_fraction=fraction)


@pytest.mark.parametrize("model", ["mlp-logistic", "softmax"])
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_scikit_learns_split(problem, model, weighted):
    given = problem(model, 40, 3, weighted=weighted)
    rows = Rows(given.X, given.y, np.empty(0) if given.weight is None else given.weight)
    train, validation = split(early_stopping(0.25), MODELS[model], rows, np.random.RandomState(5))
    stratify = given.y if MODELS[model].binary else None
    expected = train_test_split(
        given.X, given.y, random_state=np.random.RandomState(5), test_size=0.25, stratify=stratify
    )
    np.testing.assert_array_equal(train.X, expected[0])
    np.testing.assert_array_equal(train.y, expected[2])
    assert train.weight.size == (30 if weighted else 0)

    held_out = validation._rows
    predicted = predicted_proba(model, given.params, expected[1]).argmax(axis=1)
    weight = held_out.weight if weighted else None
    score = accuracy_score(expected[3], predicted, sample_weight=weight)
    assert isinstance(validation, ValidationSplit)
    assert validation.score(given.params) == pytest.approx(score, rel=1e-15)


def test_without_early_stopping_nothing_is_held_out(problem):
    given = problem("softmax", 6, 2)
    rows = Rows(given.X, given.y, np.empty(0))
    whole, validation = split(SimpleNamespace(early_stopping=False), MODELS["softmax"], rows, None)
    assert whole is rows
    assert validation is None


def test_a_single_row_is_too_small(problem):
    given = problem("softmax", 6, 2)
    rows = Rows(given.X, given.y, np.empty(0))
    with pytest.raises(ValueError, match="The validation set is too small"):
        split(early_stopping(0.1), MODELS["softmax"], rows, np.random.RandomState(0))


def test_a_class_of_one_row_is_named():
    rows = Rows(np.eye(6), np.array([0, 0, 0, 0, 0, 1]), np.empty(0))
    with pytest.raises(ValueError, match=r"too few members are: \['True'\]|least populated class"):
        split(early_stopping(0.4), MODELS["logistic"], rows, np.random.RandomState(0))
