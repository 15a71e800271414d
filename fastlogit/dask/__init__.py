"""The estimators on a Dask cluster."""

from fastlogit.dask.estimators import LogisticRegression, MLPClassifier

__all__ = ["LogisticRegression", "MLPClassifier"]
