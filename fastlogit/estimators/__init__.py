"""scikit-learn's estimators on the kernels."""

from fastlogit.estimators.mlp import MLPClassifier

__all__ = ["MLPClassifier"]
