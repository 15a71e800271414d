"""What this package imports from scikit-learn, or overrides, beyond its public interface.

A release of scikit-learn may change any of it without notice, so it is named here and nowhere else,
and a test looks each name up in the installed release. Beyond that the estimators read their
parents' ``_parameter_constraints``, ``_random_state``, ``_optimizer`` and ``_label_binarizer``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any, TypeVar

from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict as lbfgs_print_option
from sklearn.utils.multiclass import _check_partial_fit_first_call as is_first_partial_fit
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:  # below scikit-learn 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """Nothing: there are no callbacks."""


__all__ = [
    "EARLY_STOPPING",
    "EXACT_RESUME",
    "MLP_METHODS",
    "MLP_STEPS",
    "N_THREADS",
    "AdamOptimizer",
    "CallbackSupport",
    "SGDOptimizer",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "has_callbacks",
    "is_first_partial_fit",
    "lbfgs_print_option",
    "packed_offsets",
    "root_task",
    "validate_arguments",
]

Method = TypeVar("Method", bound=Callable[..., Any])

# Methods of scikit-learn's MLPClassifier that ours overrides or calls, and their arguments.
MLP_METHODS = {
    "_fit_stochastic": (
        "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads",
        "intercept_grads", "layer_units", "incremental",
    ),
    "_fit_lbfgs": (
        "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads",
        "intercept_grads", "layer_units",
    ),
    "_fit": ("self", "X", "y", "sample_weight", "incremental"),
    "_forward_pass_fast": ("self", "X", "check_input"),
    "_predict": ("self", "X", "check_input"),
}  # fmt: skip

# What its partial_fit goes through, where an heir of ours may have something of its own to do.
MLP_STEPS = ("_fit", "_validate_input", "_fit_stochastic")

# What both estimators allow of n_threads, ...
N_THREADS = [Interval(Integral, 1, None, closed="left")]
# ... of early_stopping, and of exact_resume.
EARLY_STOPPING = ["boolean", StrOptions({"loss", "score"})]
EXACT_RESUME = ["boolean"]


def packed_offsets(layer_units: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Return where each layer's weights, then biases, lie in scikit-learn's flat parameters.

    Its MLPClassifier keeps them as ``_coef_indptr`` and ``_intercept_indptr`` after a fit by
    L-BFGS, for its ``_loss_grad_lbfgs``.
    """
    shapes = list(pairwise(layer_units))
    ends = list(accumulate([*(math.prod(shape) for shape in shapes), *layer_units[1:]]))
    spans = list(zip([0, *ends], ends, strict=False))
    weights = [(*span, shape) for span, shape in zip(spans, shapes, strict=False)]
    return weights, spans[len(shapes) :]


def fit_context(method: Method) -> Method:
    """Have a fit check the estimator's arguments first, as scikit-learn's own fits do."""
    decorated: Method = _fit_context(prefer_skip_nested_validation=True)(method)
    return decorated


def validate_arguments(estimator: Any) -> None:
    """Check the estimator's arguments as its fits do, where the configuration does not forbid."""
    if not get_config()["skip_parameter_validation"]:
        estimator._validate_params()


def has_callbacks(estimator: object) -> bool:
    """Return whether callbacks watch this fit (scikit-learn 1.9), an outer estimator's included."""
    return hasattr(estimator, "_skl_callbacks")


def root_task(estimator: Any, epochs: int) -> Any:
    """Set up the callbacks of a fit of ours; return its task, of so many parts at most."""
    return estimator._init_callback_context(max_subtasks=epochs)
