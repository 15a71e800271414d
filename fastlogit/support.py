"""Which code a fit would run on, told before it; and whose place each of our estimators takes."""

from collections.abc import Iterator
from typing import Any

from sklearn.base import ClassifierMixin

from fastlogit import estimators

# Our estimators by their names, which are those of scikit-learn's classes.
CLASSES: dict[str, Any] = {
    name: value
    for name in estimators.__all__
    if isinstance(value := getattr(estimators, name), type) and issubclass(value, ClassifierMixin)
}
# What a row of the table of support is about: a class, and arguments by the words for them.
_ARGUMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "LogisticRegression": {
        "L2 penalty": {},
        "no penalty (`C=inf`)": {"C": float("inf")},
        "L1 (`l1_ratio=1`)": {"l1_ratio": 1},
        "elastic net": {"l1_ratio": 0.5},
        "`dual=True`": {"dual": True},
    },
    "MLPClassifier": {
        **{f"`{name}`": {"activation": name} for name in ("relu", "tanh", "logistic", "identity")},
        "several hidden layers": {"hidden_layer_sizes": (2, 2), "activation": "logistic"},
    },
}


def original(ours: Any) -> Any:
    """Return the class of scikit-learn's whose name and place one of our classes has."""
    return next(base for base in ours.__mro__[1:] if base.__name__ == ours.__name__)


def supports(estimator: Any, X: Any = None, y: Any = None) -> str | None:
    """Return why scikit-learn's code would run a fit of an estimator, or None: the kernels would.

    The code that decides in ``fit`` answers. Arguments that a fit refuses are refused here too.

    Parameters
    ----------
    estimator : LogisticRegression or MLPClassifier
        fastlogit's, fitted or not; or scikit-learn's, which stands for fastlogit's class with the
        same arguments.
    X : {array-like, sparse matrix} of shape (n, D), optional
        Rows of the fit. Without them the answer is for dense rows and few features.
    y : array-like of shape (n,) or (n, labels), optional
        Their labels. Without them the answer is for one label per row and few classes.

    Returns
    -------
    str or None
        The reason, as ``FASTLOGIT_VERBOSE=1`` and the logger ``fastlogit`` give it after a fit.

    Raises
    ------
    TypeError
        For any other object, such as a pipeline or a search: ask about the estimators in it.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.supports(fastlogit.LogisticRegression())
    >>> fastlogit.supports(fastlogit.MLPClassifier((50, 50)))
    '2 hidden layers, the kernels support one'
    """
    for ours in CLASSES.values():
        if type(estimator) is original(ours):
            estimator = ours(**estimator.get_params(deep=False))
    if not hasattr(estimator, "_unsupported_reason") or isinstance(estimator, type):
        names, given = " or ".join(CLASSES), type(estimator).__name__
        text = f"estimator must be a {names} of fastlogit or scikit-learn, got {given}"
        raise TypeError(f"{text}; of a pipeline, a search or an ensemble, ask about its parts")
    estimator._validate_params()
    reason: str | None = estimator._unsupported_reason(X, y)
    return reason


def support_table() -> str:
    """Return the solvers whose fits the kernels run, for what the code decides by, in Markdown."""
    lines = ["| | | solvers, dense and sparse `X` |", "|---|---|---|"]
    for name, arguments in _ARGUMENTS.items():
        rows: dict[str, list[str]] = {}
        for words, given in arguments.items():
            rows.setdefault(_supported(name, given), []).append(words)
        for solvers, together in rows.items():
            lines.append(f"| `{name}` | {', '.join(together)} | {solvers} |")
    return "\n".join(lines)


def _supported(name: str, arguments: dict[str, Any]) -> str:
    """Return the solvers that the kernels support with these arguments, "all" or "none"."""
    known = sorted(set(_solvers(name)))
    runs = [solver for solver in known if _runs(CLASSES[name](solver=solver, **arguments))]
    return "all" if runs == known else ", ".join(f"`{solver}`" for solver in runs) or "none"


def _solvers(name: str) -> Iterator[str]:
    for constraint in CLASSES[name]._parameter_constraints["solver"]:
        yield from constraint.options


def _runs(estimator: Any) -> bool:
    try:
        return supports(estimator) is None
    except ValueError:  # arguments that no code runs
        return False
