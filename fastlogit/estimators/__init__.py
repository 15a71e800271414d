"""scikit-learn's estimators on the kernels."""

from fastlogit.estimators.export import register_converters, to_onnx
from fastlogit.estimators.logistic import LogisticRegression
from fastlogit.estimators.mlp import MLPClassifier

__all__ = ["LogisticRegression", "MLPClassifier", "register_converters", "to_onnx"]
