"""What a model is: its shapes, its parameters in one block, and the rows that it sees."""

from fastlogit.models.parameters import FlatParams, Floats, Indices, Shapes, arrange
from fastlogit.models.rows import Rows, as_writable_view, matrix_for_kernels
from fastlogit.models.table import ACTIVATIONS, BACKENDS, MODELS, OPTIMIZERS, Backend, Model

__all__ = [
    "ACTIVATIONS", "BACKENDS", "MODELS", "OPTIMIZERS", "Backend", "FlatParams", "Floats", "Indices",
    "Model", "Rows", "Shapes", "arrange", "as_writable_view", "matrix_for_kernels",
]  # fmt: skip
