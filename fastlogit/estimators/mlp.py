"""MLPClassifier with one sigmoid hidden layer on the kernels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression as _SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as _SklearnMLPClassifier
from sklearn.utils.metaestimators import available_if

from fastlogit.estimators import minibatch, optimizer_state, resume
from fastlogit.estimators.mlp_fit import MLPFit
from fastlogit.estimators.parts import next_generator, plain_part
from fastlogit.estimators.plain import plain_number
from fastlogit.estimators.predicting import are_of_a_model, rows_of
from fastlogit.estimators.routing import on_kernels, on_scikit_learn
from fastlogit.estimators.sklearn_compat import (
    EARLY_STOPPING,
    EXACT_RESUME,
    MLP_STEPS,
    N_THREADS,
)
from fastlogit.estimators.validation_split import split
from fastlogit.estimators.weights import row_weight, with_class_weight
from fastlogit.models import Floats, Indices, Rows


def has_partial_fit(estimator: Any) -> bool:
    """Return True, or raise scikit-learn's AttributeError for a solver that has no partial_fit."""
    return bool(super(MLPClassifier, estimator).partial_fit)


class MLPClassifier(MLPFit):
    """scikit-learn's MLPClassifier, trained by jitted kernels where they cover it.

    Arguments, fitted attributes, random draws and numbers are those of
    :class:`sklearn.neural_network.MLPClassifier`, which documents them. What differs:

    - ``activation`` is ``"logistic"`` unless given.
    - The kernels train and predict one hidden layer with ``activation="logistic"``, every solver,
      with one label a row. Anything else runs scikit-learn's code.
    - ``predict_log_proba`` is computed from the logits, and finite where probabilities underflow.
    - The loss is exact where scikit-learn clips probabilities to the machine's epsilon.
    - A loss that is no longer finite ends training with a ConvergenceWarning and the parameters of
      the last epoch that was finite; ValueError if the first is not.
    - ``fit`` takes validation data and a callback, and scikit-learn's callbacks (1.9) see the
      epochs of "sgd" and "adam".

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, \
power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn. ``early_stopping`` may be "score", which is True, or "loss": the fit
        then stops by the loss on the validation rows, without the penalty, and keeps the
        parameters with the least.
    class_weight : dict, "balanced" or None
        Weights by class label, which multiply the rows' weights. "balanced" weighs the classes
        inversely to their (weighted) frequencies in y; ``partial_fit`` sees a part of y only and
        does not take it.
    n_threads : int
        Threads that may share the rows of a large batch, of an L-BFGS fit, and of a prediction, 256
        rows each at least; 1 or more. No bit of a result depends on it. Numba's limit
        (``NUMBA_NUM_THREADS``), which joblib lowers in its workers, holds here too.

    exact_resume : bool
        Of "sgd" and "adam": whether ``partial_fit``, and ``fit`` with ``warm_start`` and without
        ``early_stopping``, go on as if the call before had not ended: k calls of ``partial_fit``
        on the same rows leave the bits of one ``fit`` of k epochs, in another process too. The
        generator that an integer ``random_state`` seeds, the row order and the optimizer's moments
        then are part of what is fitted. If not, each call seeds anew, as in scikit-learn.

    Attributes
    ----------
    backend_ : {"numba", "scikit-learn"}
        Which code ran the last fit. Why it was scikit-learn's says the logger ``fastlogit`` at
        level INFO.
    model_ : {"mlp-logistic", "mlp-softmax"}
        What the kernels trained; missing where scikit-learn's code ran.
    validation_loss_curve_ : list of float
        Mean loss on the validation rows after each epoch, without the penalty, where ``X_val`` was
        given or ``early_stopping="loss"``; the least is ``best_validation_loss_``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlogit import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((16,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> network.backend_, network.model_
    ('numba', 'mlp-softmax')
    >>> bool(network.score(X, y) > 0.97)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnMLPClassifier._parameter_constraints,
        "class_weight": _SklearnLogisticRegression._parameter_constraints["class_weight"],
        "n_threads": N_THREADS,
        "early_stopping": EARLY_STOPPING,
        "exact_resume": EXACT_RESUME,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "logistic",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        n_threads: int = 1,
        exact_resume: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.class_weight = class_weight
        self.n_threads = n_threads
        self.exact_resume = exact_resume

    # scikit-learn's fit and partial_fit check their input, draw the first parameters and then call
    # this method or _fit_lbfgs, with y as booleans (n, K).

    def _fit_stochastic(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any, incremental: bool,
    ) -> None:  # fmt: skip
        if self.class_weight == "balanced" and incremental:
            raise ValueError(minibatch.BALANCED_IN_PARTS)
        sample_weight = self._weighted(y, sample_weight)
        call = None if incremental else self.__dict__.get("_fit_call")
        if reason := self._uncovered():
            resume.refuse(self, reason, incremental=incremental)
            self._begin_without_epochs(reason)
            on_scikit_learn(self, reason)
            super()._fit_stochastic(
                X, y, sample_weight, activations, deltas, coef_grads, intercept_grads, layer_units,
                incremental,
            )  # fmt: skip
            return
        on_kernels(self, self._model)
        if not resume.keeps_optimizer(self, incremental=incremental):
            params = self.coefs_ + self.intercepts_
            self._optimizer = optimizer_state.new_optimizer(self, params)
        if self.early_stopping and incremental:
            raise ValueError(f"partial_fit does not support early_stopping={self.early_stopping!r}")
        resume.take_up(self, self._random_state, incremental=incremental)
        rows = self._rows(X, y, sample_weight)
        rows, validation = split(self, self._model, rows, self._random_state, call)
        if call is not None:
            call.begin(self.max_iter)
        loop = minibatch.EpochLoop(
            self, self._model, self._params, rows, self._random_state,
            alpha=self.alpha, alpha_by_row=True, validation=validation, call=call,
            publish=self._publish,
        )  # fmt: skip
        self._params = loop.run(one_epoch=incremental)
        if self.early_stopping:  # where scikit-learn's code would go on from with warm_start
            self._best_coefs, self._best_intercepts = self.coefs_, self.intercepts_

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train one epoch on the given rows, going on from the last call or fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Training rows.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        classes : array-like of shape (K,), optional
            All labels there will be; the first call needs them.

        Returns
        -------
        self
            The fitted estimator.
        """
        rows = plain_part(
            self, X, y, sample_weight, classes,
            plain_penalty=plain_number(self.alpha) and self.activation == "logistic",
        )  # fmt: skip
        if rows is None or not self._goes_on_with(rows):
            super().partial_fit(X, y, sample_weight=sample_weight, classes=classes)
            return self
        loop = minibatch.EpochLoop(
            self, self._model, self._params, rows, next_generator(self),
            alpha=self.alpha, alpha_by_row=True,
        )  # fmt: skip
        self._params = loop.run(one_epoch=True)
        return self

    def _goes_on_with(self, rows: Rows) -> bool:
        """Return whether scikit-learn's partial_fit would find nothing to convert or refuse."""
        n_hidden = self.hidden_layer_sizes
        if type(n_hidden) in (tuple, list) and len(n_hidden) == 1:
            n_hidden = n_hidden[0]
        return (
            self.warm_start is False  # else y has to have all classes
            and type(n_hidden) is int
            and self.coefs_[0].shape == (rows.X.shape[1], n_hidden)
            and are_of_a_model(self._model, self._params, rows.X.shape[1])
            and all(array.dtype == rows.X.dtype for array in self._params)
            and (
                type(self) is MLPClassifier
                or all(
                    getattr(type(self), name) is getattr(MLPClassifier, name) for name in MLP_STEPS
                )
            )
        )

    def _uncovered(self) -> str | None:
        """Return why the kernels do not cover this fit, or None if they do."""
        if self.activation != "logistic":
            return f"activation={self.activation!r}, the kernels know 'logistic'"
        if len(self.coefs_) != 2:
            return f"{len(self.coefs_) - 1} hidden layers, the kernels know one"
        if self.out_activation_ == "logistic" and self.n_outputs_ > 1:
            return "y has several labels a row"
        return None

    def _weighted(self, y: Any, sample_weight: Floats | None) -> Floats | None:
        if self.class_weight is None:
            return sample_weight
        if self.n_outputs_ > 1 and self.out_activation_ == "logistic":
            raise ValueError(
                f"class_weight={self.class_weight!r} must be None where y has several labels a row"
            )
        return with_class_weight(
            self.class_weight, self.classes_, self._class_indices(y), sample_weight
        )

    def _rows(self, X: Any, y: Any, sample_weight: Floats | None) -> Rows:
        # partial_fit and warm_start go on in the dtype that they began with.
        dtype = self.coefs_[0].dtype
        return Rows(
            rows_of(X, dtype),
            self._class_indices(y),
            row_weight(sample_weight, dtype),
        )

    def _class_indices(self, y: Any) -> Indices:
        return np.asarray(y[:, 0] if self._model.binary else y.argmax(axis=1), np.intp)
