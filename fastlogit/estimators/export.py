"""Export to ONNX, by skl2onnx's converters for scikit-learn's classes."""

from typing import Any

from fastlogit.estimators.logistic_regression import LogisticRegression
from fastlogit.estimators.logistic_regression_cv import LogisticRegressionCV
from fastlogit.estimators.mlp_classifier import MLPClassifier


def register_converters() -> None:
    """Make skl2onnx's functions accept the estimators with every option, also inside others."""
    # It finds converters by the exact class. Imported here: it is optional and slow to import.
    from skl2onnx import get_model_alias, update_registered_parser
    from skl2onnx._parse import sklearn_parsers_map
    from skl2onnx._supported_operators import sklearn_operator_name_map

    for cls in (LogisticRegression, LogisticRegressionCV, MLPClassifier):
        # Done before, or by skl2onnx if it was imported with our classes in scikit-learn's place.
        if cls in sklearn_operator_name_map:
            continue
        parent = cls.__bases__[-1]  # scikit-learn's class
        # An alias: registering the converter again would replace that of scikit-learn's class.
        sklearn_operator_name_map[cls] = get_model_alias(parent)
        update_registered_parser(cls, sklearn_parsers_map[parent])


def to_onnx(model: Any, X: Any = None, **arguments: Any) -> Any:
    """Return a fitted estimator, or a model that contains some, as an ONNX model, by skl2onnx.

    Parameters
    ----------
    model : estimator
        A fitted estimator of fastlogit, or a pipeline, search or ensemble with them.
    X : array-like of shape (n, D), optional
        Rows, at least one, in the dtype of the ONNX model's input and probabilities.
    **arguments : Any
        Further arguments of ``skl2onnx.to_onnx``; ``options={"zipmap": False}`` makes the
        probabilities one array instead of a list of dicts.

    Returns
    -------
    onnx.ModelProto
        Outputs the label and the class probabilities of each row.

    Examples
    --------
    >>> import fastlogit
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = fastlogit.LogisticRegression(max_iter=200).fit(X, y)
    >>> exported = fastlogit.to_onnx(fitted, X[:1], options={"zipmap": False})
    >>> [output.name for output in exported.graph.output]
    ['label', 'probabilities']
    """
    from skl2onnx import to_onnx as convert

    register_converters()
    return convert(model, X, **arguments)
