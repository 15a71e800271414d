"""The epoch loop: divergence, interrupts, chunks of epochs."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.training.trainer import Trainer


def linear(**arguments):
    return LogisticRegression(**{"solver": "sgd", "random_state": 0} | arguments)


def test_divergence_keeps_the_last_finite_parameters(toy_set):
    X, y = toy_set("iris", "softmax")
    model = linear(learning_rate_init=1e300)
    with pytest.warns(ConvergenceWarning, match=r"epoch 2 at learning_rate=1e\+300.* was \d"):
        model.fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        one_epoch = linear(learning_rate_init=1e300, max_iter=1).fit(X, y)
    np.testing.assert_array_equal(model.coef_, one_epoch.coef_)
    assert np.isfinite(model.coef_).all()
    assert model.loss_curve_ == one_epoch.loss_curve_
    assert model.n_iter_ == 1


def test_divergence_of_the_first_epoch_raises(toy_set):
    X, y = toy_set("iris", "softmax")
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*learning_rate=1e\+300"):
        linear(learning_rate_init=1e300, batch_size=10).fit(X, y)
    network = MLPClassifier((4,), solver="sgd", learning_rate_init=1e38, batch_size=10)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        network.fit(X.astype(np.float32), y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupt_keeps_the_epochs_done(toy_set, monkeypatch, early_stopping):
    X, y = toy_set("iris", "softmax")
    whole_epochs = Trainer.run_epochs
    epochs = []

    def interrupted(self, rows, orders, losses):
        for i in range(len(orders)):
            for _ in whole_epochs(self, rows, orders[i : i + 1], losses[i : i + 1]):
                yield i + 1
            epochs.append(i)
            if len(epochs) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run_epochs", interrupted)
    network = MLPClassifier((4,), early_stopping=early_stopping, random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        network.fit(X, y)
    assert network.n_iter_ == len(network.loss_curve_) == 2
    monkeypatch.undo()
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        expected = MLPClassifier(
            (4,), early_stopping=early_stopping, random_state=0, max_iter=2
        ).fit(X, y)
    np.testing.assert_array_equal(network.coefs_[0], expected.coefs_[0])
    assert network.predict(X).shape == y.shape


@pytest.mark.parametrize(
    ("arguments", "chunks"),
    [
        ({"n_iter_no_change": 10}, [11, 9]),
        ({"n_iter_no_change": np.inf}, [20]),
        ({"learning_rate": "invscaling"}, [1] * 20),
        ({"early_stopping": True, "n_iter_no_change": 30}, [1] * 20),
    ],
)
def test_epochs_run_together_up_to_the_next_decision(toy_set, monkeypatch, arguments, chunks):
    X, y = toy_set("iris", "softmax")
    sizes = []
    whole_epochs = Trainer.run_epochs

    def counted(self, rows, orders, losses):
        sizes.append(len(orders))
        return whole_epochs(self, rows, orders, losses)

    monkeypatch.setattr(Trainer, "run_epochs", counted)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        linear(tol=0, max_iter=20, **arguments).fit(X, y)
    assert sizes == chunks


def test_orders_drawn_ahead_are_bounded(toy_set, monkeypatch):
    X, y = toy_set("iris", "softmax")
    with pytest.warns(ConvergenceWarning):
        expected = linear(max_iter=12, batch_size=40).fit(X, y)
    monkeypatch.setattr("fastlogit.training.orders.DRAWN_INDICES", 300)
    with pytest.warns(ConvergenceWarning):
        bounded = linear(max_iter=12, batch_size=40).fit(X, y)
    np.testing.assert_array_equal(bounded.coef_, expected.coef_)
    assert bounded.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("kind", [linear, MLPClassifier])
def test_a_loss_that_ends_far_above_its_start_warns(toy_set, kind, solver):
    X, y = toy_set("digits", "softmax")
    settings = {"solver": solver, "learning_rate_init": 1e6, "random_state": 0, "max_iter": 2}
    settings |= {"activation": "logistic"} if kind is MLPClassifier else {}
    message = r"Training diverged: .* learning_rate=1e\+06"
    with pytest.warns(ConvergenceWarning, match=message):
        kind(**settings).partial_fit(X * 10, y, classes=np.unique(y))
    with (
        pytest.warns(ConvergenceWarning, match="Maximum iterations"),
        pytest.warns(ConvergenceWarning, match=message),
    ):
        kind(**settings).fit(X * 10, y)
