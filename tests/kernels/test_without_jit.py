"""The kernels as plain Python, with the compiler off: how debuggers and coverage see them."""

import os
import subprocess
import sys
from pathlib import Path

import fastlogit

PROGRAM = """
import itertools, numba, numpy as np, fastlogit
from scipy.sparse import csr_array
from fastlogit.models import BACKENDS, MODELS
from fastlogit.training.orders import LegacyOrders
from fastlogit.models import OPTIMIZERS

assert numba.config.DISABLE_JIT
rng = np.random.default_rng(0)
order = np.arange(900)
np.random.RandomState(0).shuffle(order)
assert np.array_equal(LegacyOrders(np.random.RandomState(0), 900).draw(1)[0], order)
for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
    X, y = rng.normal(size=(7, 3)).astype(dtype), np.array([0, 1, 1, 0, 1, 0, 0])
    X[rng.random((7, 3)) < 0.4] = 0
    weight = rng.uniform(0, 2, 7).astype(dtype)
    for name, model in MODELS.items():
        hidden = 5 if model.has_hidden else None
        labels = y if model.binary else y + np.arange(7) % 2
        start = model.initial_params(3, hidden, model.n_outputs(3), dtype, rng)
        results = []
        for rows, backend in itertools.product((X, csr_array(X)), BACKENDS):
            loss, gradient = fastlogit.loss_and_gradient(
                name, start, rows, labels, alpha=0.1, sample_weight=weight, backend=backend
            )
            arrays = [np.array(loss), *gradient]
            arrays.append(fastlogit.predict_proba(name, start, rows, backend=backend))
            regular = {"alpha": 0.1, "sample_weight": weight, "batch_size": 3}
            ways = [{"solver": solver, "momentum": 0.9} | regular for solver in OPTIMIZERS]
            for way in (*ways, {"solver": "sgd"} | regular, {"solver": "sgd", "batch_size": 1}):
                result = fastlogit.train(
                    name, rows, labels, start, **way, nesterov=True, epochs=2,
                    learning_rate=0.01, random_state=0, backend=backend,
                )
                arrays += [*result.params, result.loss_curve]
            results.append(arrays)
        for arrays in results[1:]:
            for array, expected in zip(arrays, results[0], strict=True):
                np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
                assert array.dtype == expected.dtype
        print(name, dtype.__name__)
"""


def test_all_models_run_as_plain_python():
    package = Path(fastlogit.__file__).parents[1]
    # NumPy's product may warn of memory that it reads and does not use; NaN shows in comparisons.
    of_product = "ignore:invalid value encountered in matmul:RuntimeWarning"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-W", of_product, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(package)},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 * len(fastlogit.models.MODELS)
