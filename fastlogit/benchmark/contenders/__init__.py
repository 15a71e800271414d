"""The implementations that are compared, by name.

A contender is one module here, with a subclass of `Contender`, and one row in `CONTENDERS`. A
module imports its library inside its functions, never at the top, so that a missing one
only costs its own row.
"""

from __future__ import annotations

from fastlogit.benchmark.contenders.base import (
    ClosedContender,
    Contender,
    Missing,
    OpenContender,
    UnsupportedError,
)
from fastlogit.benchmark.contenders.jax import JaxContender
from fastlogit.benchmark.contenders.own import NumbaContender, NumpyContender
from fastlogit.benchmark.contenders.scikit_learn import ScikitLearnContender
from fastlogit.benchmark.contenders.torch import TorchContender

__all__ = [
    "BASELINE",
    "CONTENDERS",
    "ClosedContender",
    "Contender",
    "Missing",
    "OpenContender",
    "UnsupportedError",
]

# The contender that every speed-up is quoted against.
BASELINE = NumpyContender.name

CONTENDERS: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        NumpyContender,
        NumbaContender,
        JaxContender,
        TorchContender,
        ScikitLearnContender,
    )
}
