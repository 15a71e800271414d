"""The kernels as an x86-64 CPU with AVX2 and no AVX-512 runs them: vectors are half as long."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import fastlogit

PROGRAM = """
import itertools
import numpy as np, fastlogit
from fastlogit.kernels.codegen import simd
from fastlogit.models import MODELS

assert simd.VECTOR_BYTES == 32
rng = np.random.default_rng(0)
for name, dtype, tolerance in (
    ("logistic", np.float32, 2e-4),
    ("logistic", np.float64, 2e-11),
    ("softmax", np.float64, 2e-11),
    ("mlp-softmax", np.float64, 2e-11),
):
    model = MODELS[name]
    for rows, width in itertools.product((1, 7, 9, 30), (3, 8, 17)):
        X, y = rng.normal(size=(rows, width)).astype(dtype), rng.integers(2, size=rows)
        hidden = width + 2 if model.has_hidden else None
        start = model.initial_params(width, hidden, model.n_outputs(3), dtype, rng)
        order = np.array([rng.permutation(rows) for _ in range(3)])
        results = []
        for backend in ("numba", "numpy"):
            arrays = [fastlogit.predict_proba(name, start, X, backend=backend)]
            for batch_size in (1, 8):
                result = fastlogit.train(
                    name, X, y, start, epochs=3, order=order, batch_size=batch_size,
                    backend=backend,
                )
                arrays += [*result.params, result.loss_curve]
            results.append(arrays)
        for array, expected in zip(*results, strict=True):
            np.testing.assert_allclose(array, expected, rtol=0, atol=tolerance)
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="not an x86-64")
@pytest.mark.slow
def test_half_as_long_vectors(tmp_path):
    environment = os.environ | {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+popcnt,+sse4.2",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(fastlogit.__file__).parents[1]),
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
