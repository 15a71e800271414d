"""What is particular to ``solver="liblinear"``: whom it refuses, and how it penalises intercepts.

liblinear appends a feature of the value s = ``intercept_scaling``, whose weight v is penalised like
any other. So the intercept is b = s v, and its L1 penalty λ |v| is λ / s · |b|: the kernels keep a
bias with a penalty of its own, and X as it is.
"""

from typing import Any

from scipy.sparse import issparse


def check(classes: Any, X: Any) -> None:
    """Raise ValueError, in scikit-learn's words, for what "liblinear" does not support."""
    if len(classes) > 2:
        raise ValueError(
            "The 'liblinear' solver does not support multiclass classification (n_classes >= "
            "3). Either use another solver or wrap the estimator in a OneVsRestClassifier to "
            "keep applying a one-versus-rest scheme."
        )
    values = X.data if issparse(X) else X
    if values.max(initial=0) > 1e30:
        raise ValueError(
            "Using the 'liblinear' solver while X contains a maximum value > 1e30 results in a "
            "frozen fit. Please choose another solver or rescale the input X."
        )


def intercept_strength(estimator: Any, strength: float) -> float:
    """Return the L1 penalty of |b| that stands for one of that strength on |v|."""
    return strength / float(estimator.intercept_scaling)
