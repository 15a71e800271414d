"""Everything private of scikit-learn that this package imports or overrides.

Any release of scikit-learn may change it without notice, so it is named only here, and a test
checks each name against the installed release. The estimators also read their parents'
``_parameter_constraints``, ``_random_state``, ``_optimizer`` and ``_label_binarizer``, and override
or call MLPClassifier's ``_fit``, ``_fit_stochastic``, ``_fit_lbfgs``, ``_forward_pass_fast`` and
``_predict``.
"""

import inspect
import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate, chain, pairwise
from numbers import Integral
from operator import itemgetter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import make_scorer
from sklearn.neural_network._base import ACTIVATIONS
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils._repr_html.estimator import _VisualBlock
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.metadata_routing import _raise_for_params as raise_for_params
from sklearn.utils.multiclass import _check_partial_fit_first_call as is_first_partial_fit
from sklearn.utils.validation import _check_method_params as params_of_rows
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from fastlogit.models import OPTIMIZERS, Floats
from fastlogit.training.trainer import Trainer

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:  # below scikit-learn 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """An empty base class: there are no callbacks."""


__all__ = [
    "ACTIVATIONS", "CallbackSupport", "NamedInHTML", "StrOptions", "check_sample_weight",
    "fit_context", "fitted_binarizer", "has_callbacks", "is_first_partial_fit",
    "lbfgs_print_option", "load_moments", "new_optimizer", "optimizer_from_state",
    "optimizer_settings", "optimizer_state", "packed_offsets", "params_of_rows",
    "raise_for_params", "root_task", "solver_of", "store_moments", "validate_plain_arguments",
    "with_labels",
]  # fmt: skip

# The methods that a fit of MLPClassifier calls, any of which a subclass of ours may override, the
# first three also partial_fit.
MLP_STEPS = (
    "_fit", "_validate_input", "_fit_stochastic", "_fit_lbfgs", "_initialize", "_init_coef",
)  # fmt: skip
# Constraints on the arguments that both estimators add or extend.
ADDED_CONSTRAINTS = {
    "n_threads": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean", StrOptions({"loss", "score"})],
    "exact_resume": ["boolean"],
}

MINIBATCH_SOLVERS = ("sgd", "adam")
# The optimizers of MLPClassifier, and their moments, lists of the weights' and then the biases'.
CLASSES = {"sgd": SGDOptimizer, "adam": AdamOptimizer}
MOMENTS = {"sgd": ("velocities",), "adam": ("ms", "vs")}
# The identities of the arguments of each class that were validated last, and these themselves.
_last_validated: dict[Any, tuple[list[int], Any]] = {}
PLAIN_TYPES = {int, float, str, bool, type(None), tuple, np.float64, np.random.RandomState}
CALLBACKS_EXIST = hasattr(CallbackSupport, "set_callbacks")
# Of LogisticRegressionCV: None, or from 1.9 on "warn", which is None with a warning.
DEFAULT_SCORING = inspect.signature(LogisticRegressionCV).parameters["scoring"].default
# Decorates a fit to validate the estimator's arguments first, as in scikit-learn.
fit_context = _fit_context(prefer_skip_nested_validation=True)
# It compares SciPy's version anew in each call.
lbfgs_print_option = cache(_get_additional_lbfgs_options_dict)


class NamedInHTML:
    """Has the HTML representation of an estimator name the package and link to its documentation.

    That is the docstring of the class, whose file in the repository the link leads to.
    """

    _doc_link_module = "fastlogit"
    _doc_link_template = "https://github.com/fastlogit/fastlogit/blob/main/{file}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"file": type(self).__module__.replace(".", "/") + ".py"}

    def _sk_visual_block_(self) -> Any:
        names, details = type(self).__name__, str(self)
        return _VisualBlock(
            "single", self, names=names, name_details=details, name_caption=self._doc_link_module
        )


def validate_plain_arguments(estimator: Any) -> bool:
    """Validate plain arguments once per class and set of values; return False for other arguments.

    scikit-learn's takes as long as the rest of a fit on few rows, and depends on these only.
    """
    cls: Any = type(estimator)
    if cls.get_params is not BaseEstimator.get_params:
        return False
    try:
        values = _arguments_of(cls)(vars(estimator))
    except KeyError:  # to be reported
        return False
    # The same objects as in the last call are as valid, which saves two thirds of the time.
    identities, given = [*map(id, values)], values
    last = _last_validated.get(cls)
    if last is not None and last[0] == identities:
        return True
    kinds = set(map(type, values))
    if np.random.RandomState in kinds:  # as valid as None, which keeps nothing alive in the cache
        values = [None if type(value) is np.random.RandomState else value for value in values]
    tuples = [value for value in values if type(value) is tuple] if tuple in kinds else []
    # A tuple's items are of one type, since 1 == True.
    if not (kinds <= PLAIN_TYPES and all(type(item) is int for item in chain(*tuples))):
        return False
    _validate_once(cls, *values)
    if np.random.RandomState not in kinds:
        _last_validated[cls] = identities, given  # which keeps them alive, and so their identities
    return True


@lru_cache(256)
def _arguments_of(cls: Any) -> Any:
    return itemgetter(*cls._get_param_names())


@lru_cache(256, typed=True)
def _validate_once(cls: Any, *values: Any) -> None:
    arguments = dict(zip(cls._get_param_names(), values, strict=True))
    validate_parameter_constraints(cls._parameter_constraints, arguments, caller_name=cls.__name__)


def fitted_binarizer(classes: Any) -> LabelBinarizer:
    """Return a LabelBinarizer of sorted classes; to fit one takes twenty epochs on few rows."""
    binarizer = LabelBinarizer()
    binarizer.y_type_ = "multiclass" if len(classes) > 2 else "binary"
    binarizer.sparse_input_ = False
    # The fitted dtype of strings has the longest one's length; the labels' dtype may be wider.
    binarizer.classes_ = np.asarray(classes.tolist()) if classes.dtype.kind == "U" else classes
    return binarizer


def packed_offsets(layer_units: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Return the position of each layer's weights and biases in scikit-learn's flat parameters.

    Its ``_loss_grad_lbfgs`` reads them from ``_coef_indptr`` and ``_intercept_indptr``.
    """
    shapes = list(pairwise(layer_units))
    ends = list(accumulate([*(math.prod(shape) for shape in shapes), *layer_units[1:]]))
    spans = list(zip([0, *ends], ends, strict=False))
    weights = [(*span, shape) for span, shape in zip(spans, shapes, strict=False)]
    return weights, spans[len(shapes) :]


def new_optimizer(estimator: Any) -> Any:
    """Return an optimizer with the estimator's settings, and without moments, which stand for 0."""
    est, rate = estimator, estimator.learning_rate_init
    if est.solver == "adam":
        return AdamOptimizer([], rate, est.beta_1, est.beta_2, est.epsilon)
    return SGDOptimizer(
        [], rate, est.learning_rate, est.momentum, est.nesterovs_momentum, est.power_t
    )


def solver_of(optimizer: Any) -> str:
    """Return "sgd" or "adam"."""
    return "adam" if isinstance(optimizer, AdamOptimizer) else "sgd"


def optimizer_settings(optimizer: Any) -> dict[str, float]:
    """Return the optimizer's hyperparameters for the trainer."""
    solver = solver_of(optimizer)
    settings = {name: getattr(optimizer, name) for name in OPTIMIZERS[solver].settings}
    rate = optimizer.learning_rate if solver == "sgd" else optimizer.learning_rate_init
    return {**settings, "learning_rate": rate}


def load_moments(trainer: Trainer, optimizer: Any) -> None:
    """Copy the optimizer's moments and step count into the trainer, whose are 0, and mark it."""
    if not getattr(optimizer, MOMENTS[solver_of(optimizer)][0]):
        return
    for name, row, block, arrays in _moments(trainer, optimizer):
        for array, values in zip(arrays, getattr(optimizer, name), strict=True):
            array[...] = values
        if block is not row:
            row[:] = block[: row.size]
    trainer.steps[0] = getattr(optimizer, "t", 0)
    trainer.mark()


def store_moments(trainer: Trainer, optimizer: Any) -> None:
    """Hand the trainer's moments and step count to the optimizer, after the last epoch."""
    opt, steps = optimizer, int(trainer.steps[0])
    for name, _, _, arrays in _moments(trainer, opt):
        setattr(opt, name, arrays)  # not copied, since the trainer no longer writes to them
    if solver_of(opt) == "adam" and steps:
        correction = math.sqrt(1 - opt.beta_2**steps)
        opt.learning_rate = opt.learning_rate_init * correction / (1 - opt.beta_1**steps)
        opt.t = steps


def _moments(trainer: Trainer, optimizer: Any) -> Iterator[tuple[str, Floats, Floats, list[Any]]]:
    """Yield each moment's name, its row in the trainer, a block of all parameters, and its arrays.

    The block is the row itself, or where biases are not trained a copy with zeros for them.
    """
    flat = trainer.flat
    for name, row in zip(MOMENTS[solver_of(optimizer)], trainer.moments, strict=True):
        block = row
        if row.size < flat.flat.size:
            block = np.concatenate([row, np.zeros(flat.flat.size - row.size, row.dtype)])
        yield name, row, block, _in_order(flat.parts(block))


def _in_order(arrays: Sequence[Any]) -> list[Any]:
    """Return alternating weights and biases in the order of scikit-learn's optimizers."""
    return [*arrays[::2], *arrays[1::2]]


def optimizer_state(optimizer: Any) -> Any:
    """Return an optimizer as a dict of plain values, which skops loads without trust in it."""
    is_known = type(optimizer) in CLASSES.values()
    return {"solver": solver_of(optimizer), **vars(optimizer)} if is_known else optimizer


def optimizer_from_state(state: Any) -> Any:
    """Return the optimizer of such a dict; anything else as it is."""
    if type(state) is not dict:
        return state
    optimizer = object.__new__(CLASSES[state["solver"]])
    vars(optimizer).update({name: state[name] for name in state if name != "solver"})
    return optimizer


def has_callbacks(estimator: object) -> bool:
    """Return whether a fit has callbacks (scikit-learn 1.9), including an outer estimator's."""
    return hasattr(estimator, "_skl_callbacks")


def root_task(estimator: Any, max_subtasks: int) -> Any:
    """Set up the callbacks of a fit; return its task."""
    return estimator._init_callback_context(max_subtasks=max_subtasks)


def with_labels(scorer: Any, classes: Any) -> Any:
    """Return a scorer that knows all classes, of which test rows may lack some (scikit-learn 1.9).

    For two classes the second is the positive one, as in LogisticRegressionCV's own fit.
    """
    if not (CALLBACKS_EXIST and hasattr(scorer, "_score_func")):
        return scorer
    accepted = inspect.signature(scorer._score_func).parameters
    if "labels" not in accepted:
        return scorer
    given = {"labels": classes}
    if len(classes) <= 2 and "pos_label" in accepted:
        given["pos_label"] = classes[-1]
    return make_scorer(
        scorer._score_func, greater_is_better=scorer._sign == 1,
        response_method=scorer._response_method, **(given | scorer._kwargs),
    )  # fmt: skip
