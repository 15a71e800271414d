"""MLPClassifier: what of it the kernels support, its fits and predictions."""

from contextvars import ContextVar
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.linear_model import LogisticRegression as _SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as _SklearnMLPClassifier
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target

from fastlogit.estimators import sklearn_compat
from fastlogit.estimators.base import KernelClassifier
from fastlogit.estimators.by_partition import by_partition
from fastlogit.estimators.fast_path import (
    generator_of,
    is_valid_matrix,
    plain_labels,
    set_n_features,
)
from fastlogit.estimators.predictions import kernel_classes, kernel_proba, labels_of
from fastlogit.estimators.progress import FitCall, start_history
from fastlogit.estimators.rows import apply_class_weight, features_off_scale, kernel_rows
from fastlogit.models import ACTIVATIONS, MODELS, Floats, Indices, Model, Rows
from fastlogit.models.checks import finite
from fastlogit.solvers import lbfgs
from fastlogit.training.objective import Objective

# The innermost call of fit in this thread or task. Between fit and _fit_stochastic or _fit_lbfgs
# runs scikit-learn's _fit, which has no argument to pass it in.
_current_call: ContextVar[FitCall | None] = ContextVar("_current_call", default=None)


class MLPClassifier(KernelClassifier, _SklearnMLPClassifier):  # type: ignore[misc]
    """scikit-learn's MLPClassifier, trained by jitted kernels where they support it.

    Arguments, fitted attributes, random draws and numbers are those of
    :class:`sklearn.neural_network.MLPClassifier`, which documents them. Differences:

    - The kernels run one hidden layer with any activation, by any solver, with one label per row.
      scikit-learn's code runs everything else.
    - ``predict_log_proba`` is computed from the logits, and finite where probabilities underflow.
    - The loss is exact where scikit-learn clips probabilities to the machine epsilon.
    - A loss that is not finite ends training with a ConvergenceWarning and the parameters of the
      last epoch with a finite loss; ValueError if there is none.
    - ``fit`` accepts validation data and a callback, and scikit-learn's callbacks (1.9) follow the
      epochs of "sgd" and "adam".

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, \
power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn. ``early_stopping`` may also be "score", like True, or "loss": the loss
        on the validation rows, without the penalty, then ends the fit, which keeps the parameters
        with the smallest.
    class_weight : dict, "balanced" or None
        Weights by class label, which multiply the row weights. "balanced", not for ``partial_fit``,
        makes them inversely proportional to the (weighted) class frequencies in y.
    n_threads : int, at least 1
        Maximum number of threads for a large batch, an L-BFGS fit or a prediction, of at least 256
        rows each; results are the same bits for any. ``NUMBA_NUM_THREADS`` applies too.
    exact_resume : bool
        For "sgd" and "adam": whether ``partial_fit``, and ``fit`` with ``warm_start`` but no
        ``early_stopping``, continue with the last call's generator (of an integer ``random_state``,
        otherwise seeded anew), row order and moments, also from a pickle: k calls of
        ``partial_fit`` on the same rows then give the bits of one ``fit`` of k epochs.

    Attributes
    ----------
    backend_ : {"numba", "scikit-learn"}
        The code that ran the last fit; the ``fastlogit`` logger reports at INFO level why it was
        scikit-learn's.
    model_ : {"mlp-logistic", "mlp-softmax"}
        The model that the kernels trained; absent after a fit by scikit-learn's code.
    validation_loss_curve_ : list of float
        Mean loss on the validation rows after each epoch, without the penalty, if ``X_val`` was
        given or ``early_stopping="loss"``; the smallest is ``best_validation_loss_``.
    n_passes_ : int
        Passes over the partitions of a source, the first for its statistics among them; absent
        after a fit to arrays.

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
        "activation": [
            *_SklearnMLPClassifier._parameter_constraints["activation"],
            sklearn_compat.StrOptions(set(ACTIVATIONS)),
        ],
        "class_weight": _SklearnLogisticRegression._parameter_constraints["class_weight"],
        **sklearn_compat.ADDED_CONSTRAINTS,
    }

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: str = "relu", *,
        solver: str = "adam", alpha: float = 0.0001, batch_size: Any = "auto",
        learning_rate: str = "constant", learning_rate_init: float = 0.001, power_t: float = 0.5,
        max_iter: int = 200, shuffle: bool = True, random_state: Any = None, tol: float = 1e-4,
        verbose: Any = False, warm_start: bool = False, momentum: float = 0.9,
        nesterovs_momentum: bool = True, early_stopping: bool | str = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, n_iter_no_change: float = 10, max_fun: int = 15000,
        class_weight: Any = None, n_threads: int = 1, exact_resume: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t,
            max_iter=max_iter, shuffle=shuffle, random_state=random_state, tol=tol,
            verbose=verbose, warm_start=warm_start, momentum=momentum,
            nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.class_weight, self.n_threads, self.exact_resume = class_weight, n_threads, exact_resume

    def _run_fit(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        token = _current_call.set(call)
        try:
            # What scikit-learn's fit calls; fit itself would end the task of the callbacks.
            self._fit(X, y, sample_weight=sample_weight, incremental=False)
        finally:
            _current_call.reset(token)

    def _call_of_fit(self) -> FitCall | None:
        """Return the call of this estimator's fit, None if scikit-learn's method was called."""
        call = _current_call.get()
        return call if call is not None and call.estimator is self else None

    def _fit_minibatch(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
        parent: Any = super(KernelClassifier, self)
        parent.partial_fit(X, y, sample_weight=sample_weight, classes=classes)

    def _can_resume(self, rows: Rows) -> bool:
        if self._unsupported_reason(in_fit=True) is not None:
            return False
        if self.warm_start is not False:  # then scikit-learn requires all classes in y
            return False
        has_shape = self.coefs_[0].shape == (rows.X.shape[1], self._n_hidden)
        return _has_our_steps(type(self)) and has_shape and super()._can_resume(rows)

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Self:
        """Fit as scikit-learn's method does, which is called if anything is to be converted."""
        call = None if incremental else self._call_of_fit()
        labels = None if call is None else self._plain_labels(X, y, call)
        if call is None or labels is None:
            fitted: Self = super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)
            return fitted
        classes, indices = labels
        set_n_features(self, X)
        self._label_binarizer = sklearn_compat.fitted_binarizer(classes)
        self.classes_ = self._label_binarizer.classes_
        if sample_weight is not None:
            sample_weight = sklearn_compat.check_sample_weight(sample_weight, X)
        weight = apply_class_weight(self.class_weight, self.classes_, indices, sample_weight)
        draw = generator_of if call.is_alone else check_random_state
        random_state = draw(self.random_state)
        self._initialise(X.shape[1], X.dtype, random_state)
        self._fit_rows(kernel_rows(X, indices, weight, X.dtype), random_state, call)
        return self

    def _plain_labels(self, X: Any, y: Any, call: FitCall) -> tuple[Any, Indices] | None:
        """Return the classes and the rows' indices into them, None where scikit-learn has to."""
        is_ours = self._n_hidden is not None and self.activation in ACTIVATIONS
        is_ours = is_ours and call.waiting_reason is None and not self.warm_start
        labels = plain_labels(X, y) if is_ours and _has_our_steps(type(self)) else None
        return None if labels is None or labels[0].size < 2 else labels

    @property
    def _n_hidden(self) -> int | None:
        """The hidden units, None unless these are one layer."""
        n_hidden = self.hidden_layer_sizes
        if type(n_hidden) in (tuple, list) and len(n_hidden) == 1:
            n_hidden = n_hidden[0]
        return n_hidden if type(n_hidden) is int and n_hidden > 0 else None

    def _initialise(self, n_features: int, dtype: Any, random_state: Any) -> None:
        """Set what scikit-learn's code sets before training, and draw the same parameters."""
        n_classes = len(self.classes_)
        self.n_layers_, self.n_outputs_ = 3, n_classes if n_classes > 2 else 1
        self.out_activation_ = "softmax" if n_classes > 2 else "logistic"
        self.n_iter_ = self.t_ = 0
        if self.solver != "lbfgs":
            start_history(self)
        self._params = self._model.initial_params(
            n_features, self._n_hidden, self.n_outputs_, dtype, random_state
        )
        self._best_coefs, self._best_intercepts = self.coefs_, self.intercepts_

    # Otherwise scikit-learn's _fit validates its input, draws the initial parameters and then calls
    # one of these two methods, with y as booleans (n, K).

    def _fit_stochastic(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any, incremental: bool,
    ) -> None:  # fmt: skip
        labels, weight = self._labels_and_weight(y, sample_weight)
        call = None if incremental else self._call_of_fit()
        if reason := self._sklearn_reason(call):
            if self._resumes_exactly(incremental=incremental):
                text = "exact_resume=True is for fits on the kernels, which do not run here"
                raise ValueError(f"{text}: {reason}")
            self._begin_without_epochs(call, reason)
            self._use_sklearn(reason, call)
            super()._fit_stochastic(
                X, y, weight, activations, deltas, coef_grads, intercept_grads, layer_units,
                incremental,
            )  # fmt: skip
            return
        # partial_fit and warm_start keep the dtype of the first call.
        rows = kernel_rows(X, labels, weight, self.coefs_[0].dtype)
        self._fit_rows(rows, self._random_state, call, incremental=incremental)

    def _fit_lbfgs(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any,
    ) -> None:  # fmt: skip
        labels, weight = self._labels_and_weight(y, sample_weight)
        call = self._call_of_fit()
        if reason := self._sklearn_reason(call):
            self._begin_without_epochs(call, f"solver={self.solver!r}")
            self._use_sklearn(reason, call)
            super()._fit_lbfgs(
                X, y, weight, activations, deltas, coef_grads, intercept_grads, layer_units
            )
            return
        rows = kernel_rows(X, labels, weight, self.coefs_[0].dtype)
        self._fit_rows(rows, self._random_state, call)

    def _fit_rows(
        self, rows: Rows, random_state: Any, call: FitCall | None, *, incremental: bool = False
    ) -> None:
        """Train on the kernels, from the present parameters on."""
        self._use_kernels()
        if self.solver == "lbfgs":
            self._begin_without_epochs(call, f"solver={self.solver!r}")
            self._minimise(rows, call)
            return
        self._train_epochs(self._params, rows, random_state, incremental=incremental, call=call)
        if self.early_stopping:  # from which scikit-learn's code starts with warm_start
            self._best_coefs, self._best_intercepts = self.coefs_, self.intercepts_

    def _minimise(self, rows: Rows, call: FitCall | None) -> None:
        """Train by L-BFGS."""
        threads, total = int(self.n_threads), rows.total_weight
        partitions = None if call is None else call.partitions
        if partitions is not None:
            partitions.prepare(self, rows.X.dtype)
            total = partitions.total_weight
        alpha = self.alpha / total
        objective = Objective(self._model, self._params, rows, alpha, n_threads=threads)
        loss: Any = objective
        if partitions is not None:
            shapes = tuple([array.shape for array in self._params])
            loss = partitions.summed_loss(self, shapes, objective.params.flat, alpha)
        theta, self.loss_, self.n_iter_ = lbfgs.minimise(
            loss, objective.params.flat.copy(), max_iter=self.max_iter, tol=self.tol,
            advice=lambda: features_off_scale(self, rows.X), maxfun=self.max_fun,
            **sklearn_compat.lbfgs_print_option("iprint", 1 if self.verbose else -1),
        )  # fmt: skip
        if not finite(theta):  # in scikit-learn's words
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        objective.params.flat[...] = theta
        self._params = tuple(objective.params.copies())
        layer_units = [rows.X.shape[1], self.coefs_[0].shape[1], self.n_outputs_]
        self._coef_indptr, self._intercept_indptr = sklearn_compat.packed_offsets(layer_units)

    def _sklearn_reason(self, call: FitCall | None) -> str | None:
        """Return why scikit-learn's code runs this fit, None if the kernels do."""
        waiting = None if call is None else call.waiting_reason
        return waiting or self._unsupported_reason(in_fit=True)

    def _can_run_on_sklearn(self, call: FitCall) -> bool:
        has_own = self.early_stopping == "loss" or self.exact_resume
        is_known = self.activation in sklearn_compat.ACTIVATIONS
        return is_known and not has_own and super()._can_run_on_sklearn(call)

    @property
    def _draws(self) -> bool:  # type: ignore[override]
        return True

    @property
    def _multiply_adds(self) -> float:  # type: ignore[override]
        return float(6 * np.max(self.hidden_layer_sizes) * self.max_iter)

    def _use_sklearn(self, reason: str, call: FitCall | None = None) -> None:
        if self.activation not in sklearn_compat.ACTIVATIONS:
            raise ValueError(f"activation={self.activation!r} is for the kernels only; {reason}")
        super()._use_sklearn(reason, call)

    def _begin_without_epochs(self, call: FitCall | None, reason: str) -> None:
        """Begin the task of a fit without epochs for callbacks; refuse arguments that need them."""
        self._forget_generator()
        if call is not None:
            call.refuse_epoch_arguments(reason)
            call.begin(0)

    def _unsupported_reason(
        self, _X: Any = None, y: Any = None, *, in_fit: bool = False
    ) -> str | None:
        """Return why the kernels do not support a fit, None if they do.

        In a fit the parameters have been drawn, or are an earlier fit's, whose layers are to count.
        Without y the answer is for one label per row.
        """
        if self.activation not in ACTIVATIONS:
            names = ", ".join(map(repr, ACTIVATIONS))
            return f"activation={self.activation!r}, the kernels support {names}"
        n_layers = len(self.coefs_) - 1 if in_fit else np.size(self.hidden_layer_sizes)
        if n_layers != 1:
            return f"{n_layers} hidden layers, the kernels support one"
        several = y is not None and type_of_target(y) == "multilabel-indicator"
        if self._is_multilabel if in_fit else several:
            return "y has several labels per row"
        return None

    @property
    def _is_multilabel(self) -> bool:
        return bool(self.out_activation_ == "logistic" and self.n_outputs_ > 1)

    def _labels_and_weight(self, y: Any, sample_weight: Any) -> tuple[Indices, Floats | None]:
        """Return the rows' class indices, and their weights times those of the classes."""
        if self.class_weight is not None and self._is_multilabel:
            text = f"class_weight={self.class_weight!r} must be None"
            raise ValueError(f"{text} where y has several labels per row")
        labels = np.asarray(y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1), np.intp)
        return labels, apply_class_weight(self.class_weight, self.classes_, labels, sample_weight)

    @property
    def _model(self) -> Model:  # type: ignore[override]
        model = MODELS["mlp-softmax" if self.out_activation_ == "softmax" else "mlp-logistic"]
        return model.with_activation(self.activation) if self.activation in ACTIVATIONS else model

    @property
    def _params(self) -> tuple[Floats, ...]:
        return self.coefs_[0], self.intercepts_[0], self.coefs_[1], self.intercepts_[1]

    @_params.setter
    def _params(self, params: tuple[Floats, ...]) -> None:
        self.coefs_, self.intercepts_ = list(params[::2]), list(params[1::2])

    def _penalty(self, _total_weight: float, /) -> dict[str, Any]:
        return {"alpha": self.alpha, "alpha_by_row": True}

    @by_partition
    def predict(self, X: Any) -> Any:
        """Return the most probable classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source

        Returns
        -------
        ndarray of shape (n,), or (n, labels) for a multilabel target
            Labels.
        """
        return super().predict(X)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        if getattr(self, "backend_", None) != "numba":
            return super()._forward_pass_fast(X, check_input=check_input)
        if check_input and not is_valid_matrix(self, X):
            X = self._validate_rows(X)
        proba = kernel_proba(self._model, self._params, X, self.n_threads)
        if proba is None:
            return super()._forward_pass_fast(X, check_input=False)
        return proba[:, 1:] if self._model.binary else proba

    def _predict(self, X: Any, check_input: bool = True) -> Any:
        binarizer = self._label_binarizer
        labels = binarizer.classes_
        if getattr(self, "backend_", None) != "numba" or binarizer.sparse_input_ or len(labels) < 2:
            return super()._predict(X, check_input=check_input)
        if type(self)._forward_pass_fast is MLPClassifier._forward_pass_fast:
            X, check_input = self._kernel_rows(X) if check_input else X, False
            indices = kernel_classes(self._model, self._params, X, self.n_threads)
            if indices is not None:
                return labels_of(labels, indices)
        # The binarizer's inverse_transform gives the same and takes longer than all the rest.
        output = self._forward_pass_fast(X, check_input=check_input)
        binary = output.shape[1] == 1
        return labels[(output.ravel() > 0.5).astype(np.intp) if binary else output.argmax(axis=1)]

    def _logits(self, X: Any) -> Floats | None:
        rows = self._kernel_rows(X)
        if rows is None:
            return None
        W1, b1, W2, b2 = self._params
        hidden = rows @ W1
        hidden += b1
        activation: Any = self._model.activation  # of scikit-learn, or for ours of the reference
        sklearn_compat.ACTIVATIONS.get(activation.name, activation.reference[0])(hidden)
        return np.asarray(hidden @ W2 + b2)


@cache
def _has_our_steps(kind: Any) -> bool:
    """Return whether a class overrides none of the steps of a fit."""
    return all(getattr(kind, n) is getattr(MLPClassifier, n) for n in sklearn_compat.MLP_STEPS)
