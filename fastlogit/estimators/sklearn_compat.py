"""Everything private of scikit-learn that this package imports or overrides.

Any release of scikit-learn may change it without notice, so it is named only here, and a test
checks each name against the installed release. The estimators also read their parents'
``_parameter_constraints``, ``_random_state``, ``_optimizer`` and ``_label_binarizer``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, _fit_context
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict as lbfgs_print_option
from sklearn.utils.multiclass import _check_partial_fit_first_call as is_first_partial_fit
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:  # below scikit-learn 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """An empty base class: there are no callbacks."""


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
    "fitted_binarizer",
    "has_callbacks",
    "is_first_partial_fit",
    "lbfgs_print_option",
    "packed_offsets",
    "root_task",
    "validate_arguments",
    "validate_plain_arguments",
]

Method = TypeVar("Method", bound=Callable[..., Any])

# Methods of scikit-learn's MLPClassifier that our subclass overrides or calls, and their arguments.
MLP_METHODS = {
    "_fit_stochastic": (
        "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads",
        "intercept_grads", "layer_units", "incremental",
    ),
    "_fit_lbfgs": (
        "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads",
        "intercept_grads", "layer_units",
    ),
    "_validate_input": ("self", "X", "y", "incremental", "reset"),
    "_fit": ("self", "X", "y", "sample_weight", "incremental"),
    "_forward_pass_fast": ("self", "X", "check_input"),
    "_predict": ("self", "X", "check_input"),
}  # fmt: skip

# The methods that its partial_fit calls, any of which a subclass of ours may override.
MLP_STEPS = ("_fit", "_validate_input", "_fit_stochastic")

# Constraints on the arguments that both estimators add or extend.
N_THREADS = [Interval(Integral, 1, None, closed="left")]
EARLY_STOPPING = ["boolean", StrOptions({"loss", "score"})]
EXACT_RESUME = ["boolean"]


def packed_offsets(layer_units: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Return the position of each layer's weights and biases in scikit-learn's flat parameters.

    After a fit by L-BFGS its MLPClassifier has them in ``_coef_indptr`` and ``_intercept_indptr``,
    which its ``_loss_grad_lbfgs`` reads.
    """
    shapes = list(pairwise(layer_units))
    ends = list(accumulate([*(math.prod(shape) for shape in shapes), *layer_units[1:]]))
    spans = list(zip([0, *ends], ends, strict=False))
    weights = [(*span, shape) for span, shape in zip(spans, shapes, strict=False)]
    return weights, spans[len(shapes) :]


def fit_context(method: Method) -> Method:
    """Decorate a fit to validate the estimator's arguments first, as in scikit-learn."""
    decorated: Method = _fit_context(prefer_skip_nested_validation=True)(method)
    return decorated


def validate_arguments(estimator: Any) -> None:
    """Validate the estimator's arguments, unless the configuration says to skip it."""
    if not get_config()["skip_parameter_validation"]:
        estimator._validate_params()


def validate_plain_arguments(estimator: Any) -> bool:
    """Validate plain arguments once per class and set of values; return False for other arguments.

    scikit-learn's validation takes as long as the rest of a fit on a few rows. It depends on the
    class and the values only, so numbers, strings and the like that have passed are remembered.
    """
    cls: Any = type(estimator)
    if cls.get_params is not BaseEstimator.get_params:
        return False
    try:
        typed = tuple([_typed(getattr(estimator, name)) for name in _argument_names(cls)])
    except (AttributeError, TypeError):  # to be reported, or not plain
        return False
    _validate_once(cls, typed)
    return True


_PLAIN_TYPES = frozenset({int, float, str, bool, type(None), np.float64})


def _typed(value: Any) -> tuple[Any, ...]:
    """Return an argument with its type, since 1 == True; TypeError if it is not plain."""
    if type(value) is tuple:
        return tuple, tuple([_typed(item) for item in value])
    if type(value) not in _PLAIN_TYPES:
        raise TypeError
    return type(value), value


def _untyped(typed: tuple[Any, ...]) -> Any:
    kind, value = typed
    return tuple([_untyped(item) for item in value]) if kind is tuple else value


@lru_cache(256)
def _argument_names(cls: Any) -> tuple[str, ...]:
    return tuple(cls._get_param_names())


@lru_cache(256)
def _validate_once(cls: Any, typed: tuple[Any, ...]) -> None:
    values = [_untyped(item) for item in typed]
    arguments = dict(zip(_argument_names(cls), values, strict=True))
    validate_parameter_constraints(cls._parameter_constraints, arguments, caller_name=cls.__name__)


def fitted_binarizer(classes: Any) -> LabelBinarizer:
    """Return a LabelBinarizer as fitted to labels of two or more sorted classes.

    Fitting one takes longer than twenty epochs on a few rows.
    """
    binarizer = LabelBinarizer()
    binarizer.y_type_ = "multiclass" if len(classes) > 2 else "binary"
    binarizer.sparse_input_ = False
    # The fitted dtype of strings has the longest one's length; the labels' dtype may be wider.
    binarizer.classes_ = np.asarray(classes.tolist()) if classes.dtype.kind == "U" else classes
    return binarizer


def has_callbacks(estimator: object) -> bool:
    """Return whether a fit has callbacks (scikit-learn 1.9), including an outer estimator's."""
    return hasattr(estimator, "_skl_callbacks")


def root_task(estimator: Any, max_subtasks: int) -> Any:
    """Set up the callbacks of a fit; return its task."""
    return estimator._init_callback_context(max_subtasks=max_subtasks)
