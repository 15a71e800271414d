"""scikit-learn's estimators on the kernels."""

from fastlogit.estimators.export import register_converters, to_onnx
from fastlogit.estimators.logistic_regression import LogisticRegression
from fastlogit.estimators.mlp_classifier import MLPClassifier

__all__ = ["LogisticRegression", "MLPClassifier", "register_converters", "to_onnx"]
