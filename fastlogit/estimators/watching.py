"""What watches a fit epoch by epoch: scikit-learn 1.9's callbacks, and a plain one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from fastlogit.estimators.sklearn_compat import (
    fit_context,
    has_callbacks,
    root_task,
    validate_plain_arguments,
)

# Curves that grow while the fitted estimators, shown to callbacks, are to keep theirs.
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")


class FitCall:
    """What a call of fit was given besides what scikit-learn's own takes.

    Parameters
    ----------
    estimator : estimator
        Whose fit was called.
    X, y, sample_weight : object
        As the call gave them: what callbacks are shown.
    X_val, y_val : object
        Validation data, or None.
    callback : callable or None
        Called after each epoch with the epoch, its loss and the estimator.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None,
        y_val: Any = None, callback: Callable[[int, float, Any], Any] | None = None,
    ) -> None:  # fmt: skip
        if (X_val is None) != (y_val is None):
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val go together, got {missing}=None alone")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, got {callback!r}")
        self.estimator, self.X_val, self.y_val, self.callback = estimator, X_val, y_val, callback
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._shown = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._task: Any = None
        self._epoch: Any = None

    def begin(self, epochs: int) -> None:
        """Tell callbacks that the fit begins, of so many epochs at most; of 0, without parts."""
        if has_callbacks(self.estimator):
            self._task = root_task(self.estimator, epochs)
            self._task.call_on_fit_task_begin(**self._shown)

    def end(self) -> None:
        """Tell callbacks that the fit has ended."""
        if self._task is not None:
            self._task.call_on_fit_task_end(**self._shown, reconstruction_attributes={})

    @property
    def watches(self) -> bool:
        """Whether anybody wants to hear of the epochs."""
        return self._task is not None or self.callback is not None

    def epoch_begins(self, name: str = "epoch", **fitted: Any) -> None:
        """Tell callbacks that an epoch begins, or a part of another name from what is fitted."""
        if self._task is not None:
            self._epoch = self._task.subcontext(task_name=name)
            shown = {"reconstruction_attributes": fitted} if fitted else {}
            self._epoch.call_on_fit_task_begin(**self._shown, **shown)

    def epoch_ends(self) -> bool:
        """Tell that an epoch has ended, its parameters in the estimator; return whether to stop."""
        est, stop = self.estimator, False
        if self._epoch is not None:
            epoch, self._epoch = self._epoch, None
            stop = epoch.call_on_fit_task_end(
                **self._shown, reconstruction_attributes=self._curves_so_far
            )
        if self.callback is not None and self.callback(est.n_iter_ - 1, est.loss_, est):
            stop = True
        return stop

    def iteration_ends(self, name: str, **fitted: Any) -> bool:
        """Tell callbacks that an iteration has ended and the next begins; return whether to stop.

        As in scikit-learn the last that begins is void.
        """
        stop: bool = self._epoch.call_on_fit_task_end(
            **self._shown, reconstruction_attributes=fitted
        )
        self.epoch_begins(name, **fitted)
        return stop

    def epoch_is_void(self) -> None:
        """Tell callbacks of an epoch's end that came to nothing: diverged or interrupted."""
        if self._epoch is not None:
            epoch, self._epoch = self._epoch, None
            epoch.call_on_fit_task_end(estimator=self.estimator)

    def _curves_so_far(self) -> dict[str, Any]:
        state = self.estimator.__dict__
        return {name: list(state[name]) for name in CURVES if state.get(name) is not None}

    def refuse_extras(self, reason: str) -> None:
        """Raise ValueError where the fit cannot do with what it was given."""
        extras = [name for name in ("X_val", "callback") if getattr(self, name) is not None]
        minibatch = self.estimator.solver in ("sgd", "adam")
        if minibatch and self.estimator.early_stopping == "loss":
            extras.append("early_stopping='loss'")
        if extras:
            raise ValueError(
                f"{extras[0]} is for the solvers 'sgd' and 'adam' on the kernels; here {reason}"
            )


@contextmanager
def fit_call(estimator: Any, *given: Any) -> Iterator[FitCall]:
    """Have the estimator's fit find what its call was given, see :class:`FitCall`."""
    call = FitCall(estimator, *given)
    estimator._fit_call = call
    try:
        yield call
        call.end()
    finally:
        del estimator._fit_call


class WatchedFit:
    """A fit that takes validation data and a callback; its heir says what it does with them."""

    @fit_context
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        callback: Any = None,
    ) -> Self:  # fmt: skip
        """Fit the model to the rows of X with the labels y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Training rows.
        y : array-like of shape (n,)
            Labels; for MLPClassifier also (n, labels), several a row.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        X_val : {array-like, sparse matrix} of shape (m, D), optional
            Validation rows for "sgd" and "adam": ``early_stopping`` holds none out then. Without
            it the curves are kept all the same.
        y_val : array-like of shape (m,), optional
            Their labels, which y has to know.
        callback : callable, optional
            Called after each epoch of "sgd" and "adam" with the epoch (from 0), its loss and this
            estimator, which predicts with the parameters reached; a true value ends the fit.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        KeyboardInterrupt
            As it came in, by a Ctrl-C, with the estimator as it was before the call; "sgd" and
            "adam" keep what they have trained and warn instead.
        """
        before = self.__dict__.copy()
        try:
            with fit_call(self, X, y, sample_weight, X_val, y_val, callback) as call:
                self._fit_watched(call, X, y, sample_weight)
        except KeyboardInterrupt:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _validate_params(self) -> None:
        if not validate_plain_arguments(self):
            super()._validate_params()  # type: ignore[misc]

    def _fit_watched(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        raise NotImplementedError
