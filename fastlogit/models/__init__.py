"""What a model is: its shapes, its parameters in one block, and the rows that it sees."""

from fastlogit.models.arrays import FlatParams, Floats, Indices, Rows, arrange, as_writable_view
from fastlogit.models.table import ACTIVATIONS, BACKENDS, MODELS, OPTIMIZERS, Model

__all__ = [
    "ACTIVATIONS", "BACKENDS", "MODELS", "OPTIMIZERS", "FlatParams", "Floats", "Indices", "Model",
    "Rows", "arrange", "as_writable_view",
]  # fmt: skip
