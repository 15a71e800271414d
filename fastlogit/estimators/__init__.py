"""scikit-learn's estimators on the kernels."""

from fastlogit.estimators.export import register_converters, to_onnx
from fastlogit.estimators.logistic_regression import LogisticRegression
from fastlogit.estimators.logistic_regression_cv import LogisticRegressionCV
from fastlogit.estimators.mlp_classifier import MLPClassifier

__all__ = [
    "LogisticRegression", "LogisticRegressionCV", "MLPClassifier", "register_converters", "to_onnx",
]  # fmt: skip
