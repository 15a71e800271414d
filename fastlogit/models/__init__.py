"""What a model is: its shapes, its parameters in one block, and the rows that it sees."""

from fastlogit.models.parameters import FlatParams, Floats, Indices, Shapes, is_transposed
from fastlogit.models.rows import Rows, as_writable_view, matrix_for_kernels
from fastlogit.models.table import BACKENDS, MODELS, Model

__all__ = [
    "BACKENDS",
    "MODELS",
    "FlatParams",
    "Floats",
    "Indices",
    "Model",
    "Rows",
    "Shapes",
    "as_writable_view",
    "is_transposed",
    "matrix_for_kernels",
]
