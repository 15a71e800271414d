"""A way to call kernels, which have no Python wrapper, from tests."""

import numba
import numpy as np
import pytest

from fastlogit.kernels.codegen.compile import prepare_compiler


@pytest.fixture(scope="session")
def jit():
    """Return a decorator for a test's function that calls kernels."""
    prepare_compiler()
    return numba.njit(error_model="numpy")


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(scope="session")
def sample_size():
    """Return how many values a function is tried on: few where the compiler is off."""
    return 2_000 if numba.config.DISABLE_JIT else 400_000
