"""Views of contiguous arrays, with the compiler and without."""

import numpy as np
import pytest

from fastlogit.kernels.codegen import arrays as layout
from fastlogit.models import MODELS, FlatParams


@pytest.mark.parametrize("compiled", [True, False])
def test_a_part_is_a_view(jit, compiled, dtype):
    part = layout.part
    one = jit(lambda array, start, n: part(array, start, (n,)))
    two = jit(lambda array, start, n, m: part(array, start, (n, m)))
    if not compiled:

        def one(array, start, n):
            return part(array, start, (n,))

        def two(array, start, n, m):
            return part(array, start, (n, m))

    for array in (np.arange(30, dtype=dtype), np.arange(30, dtype=dtype).reshape(5, 6)):
        vector, matrix = one(array, 4, 7), two(array, 2, 3, 5)
        assert np.array_equal(vector, np.arange(4, 11))
        assert np.array_equal(matrix, np.arange(2, 17).reshape(3, 5))
        assert one(array, 30, 0).shape == (0,)
        matrix[1, 2] = -1
        assert array.ravel()[9] == vector[5] == -1
        assert matrix.dtype == dtype
        assert matrix.flags.c_contiguous


def test_flat_views_are_the_parameters(jit, dtype):
    flat_views = layout.flat_views
    call = jit(lambda params, flat: flat_views(params, flat))
    for model in MODELS.values():
        shapes = model.shapes(5, 3 if model.has_hidden else None, model.n_outputs(4))
        params = FlatParams(shapes, dtype, transposed=True)
        params.flat[...] = np.arange(params.flat.size)
        for views in (call(params.named, params.flat), flat_views(params.named, params.flat)):
            for view, expected in zip(views, params.named, strict=True):
                assert np.array_equal(view, expected)
                assert np.shares_memory(view, params.flat)
