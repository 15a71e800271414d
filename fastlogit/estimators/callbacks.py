"""One call of fit: the data and callbacks that it was given, and the events that callbacks see.

scikit-learn 1.9's callbacks receive a task for the fit and one for each epoch or iteration; a plain
callback is called after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastlogit.estimators.sklearn_compat import MINIBATCH_SOLVERS, has_callbacks, root_task

# Lists that grow during a fit: callbacks see estimators that have a copy of them.
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")


class FitCall:
    """The arguments of one call of fit, before any validation, and the callbacks that follow it."""

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
        self._data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._task: Any = None
        self._subtask: Any = None

    @property
    def has_observers(self) -> bool:
        """Whether anything has to be called after each epoch."""
        return self._task is not None or self.callback is not None

    def refuse_epoch_arguments(self, reason: str) -> None:
        """Raise ValueError for arguments that need epochs on the kernels, which do not run."""
        est = self.estimator
        given = [name for name in ("X_val", "callback") if getattr(self, name) is not None]
        if est.solver in MINIBATCH_SOLVERS and est.early_stopping == "loss":
            given.append("early_stopping='loss'")
        if given:
            raise ValueError(
                f"{given[0]} is for the solvers 'sgd' and 'adam' on the kernels; here {reason}"
            )

    def begin(self, max_subtasks: int) -> None:
        """Begin the task of the fit, with 0 subtasks if callbacks do not follow its epochs."""
        if has_callbacks(self.estimator):
            self._task = root_task(self.estimator, max_subtasks)
            self._task.call_on_fit_task_begin(**self._data)

    def end(self) -> None:
        """End the task of the fit."""
        if self._task is not None:
            self._task.call_on_fit_task_end(**self._data, reconstruction_attributes={})

    def begin_subtask(self, name: str = "epoch", **fitted: Any) -> None:
        """Begin an epoch or iteration, which starts from the fitted attributes given, if any."""
        if self._task is not None:
            self._subtask = self._task.subcontext(task_name=name)
            attributes = {"reconstruction_attributes": fitted} if fitted else {}
            self._subtask.call_on_fit_task_begin(**self._data, **attributes)

    def _end_subtask(self, fitted: dict[str, Any]) -> bool:
        subtask, self._subtask = self._subtask, None
        return bool(subtask.call_on_fit_task_end(**self._data, reconstruction_attributes=fitted))

    def end_epoch(self) -> bool:
        """End an epoch whose parameters are in the estimator; return whether to stop."""
        est, state = self.estimator, vars(self.estimator)
        stop = False
        if self._subtask is not None:
            copies = {name: list(state[name]) for name in CURVES if state.get(name) is not None}
            stop = self._end_subtask(copies)
        if self.callback is not None and self.callback(est.n_iter_ - 1, est.loss_, est):
            stop = True
        return stop

    def end_iteration(self, name: str, **fitted: Any) -> bool:
        """End an iteration with the fitted attributes and begin the next; return whether to stop.

        As in scikit-learn, the last one begun is to be cancelled.
        """
        stop = self._end_subtask(fitted)
        self.begin_subtask(name, **fitted)
        return stop

    def cancel_subtask(self) -> None:
        """End the epoch or iteration that diverged, was interrupted or did not run, if any."""
        if self._subtask is not None:
            subtask, self._subtask = self._subtask, None
            subtask.call_on_fit_task_end(estimator=self.estimator)
