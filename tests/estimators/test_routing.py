import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fastlogit.estimators.routing import is_sparse, on_kernels, on_scikit_learn
from fastlogit.models import MODELS


def test_records_which_code_runs_and_logs_why(caplog):
    estimator = SimpleNamespace()
    on_kernels(estimator, MODELS["softmax"])
    assert (estimator.backend_, estimator.model_) == ("numba", "softmax")
    with caplog.at_level(logging.INFO, logger="fastlogit"):
        on_scikit_learn(estimator, "because of this")
    assert estimator.backend_ == "scikit-learn"
    assert not hasattr(estimator, "model_")
    assert [(record.name, record.levelname) for record in caplog.records] == [("fastlogit", "INFO")]
    assert caplog.records[0].getMessage() == "SimpleNamespace runs on scikit-learn: because of this"


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.eye(2), False),
        ([[1.0, 2.0]], False),
        (pd.DataFrame(np.eye(2)), False),
        (sparse.coo_array(np.eye(2)), True),
        (sparse.csr_matrix(np.eye(2)), True),
        (pd.DataFrame.sparse.from_spmatrix(sparse.eye_array(2)), True),
    ],
)
def test_is_sparse(X, expected):
    assert is_sparse(X) is expected
