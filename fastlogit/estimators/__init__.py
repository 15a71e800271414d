"""scikit-learn's estimators on the kernels."""

from fastlogit.estimators.logistic import LogisticRegression
from fastlogit.estimators.mlp import MLPClassifier

__all__ = ["LogisticRegression", "MLPClassifier"]
