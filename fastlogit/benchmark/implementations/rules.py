"""Adam as the package's own optimizer has it, for the libraries that write their steps out."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class _Adam(NamedTuple):
    """The hyper-parameters that `fastlogit.train` has by default."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8


ADAM = _Adam()


def adam_rates(learning_rate: float, steps: int) -> NDArray[Any]:
    """Return η_t = η √(1 − β₂ᵗ) / (1 − β₁ᵗ) for t = 1..steps, in float64.

    Ahead of the training: in float32 the first of them would lose digits, 1 − β₂ being 0.001.
    """
    t = np.arange(1, steps + 1)
    rates: NDArray[Any] = learning_rate * np.sqrt(1 - ADAM.beta_2**t) / (1 - ADAM.beta_1**t)
    return rates
