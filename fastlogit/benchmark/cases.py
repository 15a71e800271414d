"""What is measured: a case is one training task, a grid is a list of them.

A case holds everything that decides the work, so all contenders of a case do the same sums, and
two runs may be compared wherever their ``cell_id`` agree.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields, replace

from fastlogit import datasets
from fastlogit.benchmark.names import check_name
from fastlogit.models import MODELS
from fastlogit.trainer import SOLVERS

__all__ = ["DTYPES", "Case", "Grid"]

# Step sizes that train all the toy sets: 0.1 for plain gradients, 0.001 where they are scaled.
_LEARNING_RATES, _SMALL_RATE = {"sgd": 0.1}, 0.001

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """One training task, the same for every contender.

    Attributes
    ----------
    model : str
        One of the names in `fastlogit.models.MODELS`.
    dataset : str
        A name that `fastlogit.datasets.load` knows; binary models take its two-class form.
    solver : str
        A name in `fastlogit.trainer.SOLVERS`.
    batch_size : int
        Rows of one step.
    dtype : str
        ``"float32"`` or ``"float64"``.
    threads : int
        Threads that a contender may use.
    epochs : int
        Passes over the rows in one timed repeat.
    n_hidden : int or None
        Hidden units; None for the models without a hidden layer.
    seed : int
        Seed of the initial parameters, the row order and the generated data.
    learning_rate : float
        The solver's step size.
    """

    model: str
    dataset: str
    solver: str
    batch_size: int
    dtype: str
    threads: int
    epochs: int
    n_hidden: int | None
    seed: int
    learning_rate: float

    @property
    def cell_id(self) -> str:
        """The case spelled out in one word, the same in every run."""
        hidden = "" if self.n_hidden is None else f"/h{self.n_hidden}"
        usual = self.learning_rate == _LEARNING_RATES.get(self.solver, _SMALL_RATE)
        rate = "" if usual else f"/lr{self.learning_rate:g}"
        return (
            f"{self.model}/{self.dataset}/{self.solver}/b{self.batch_size}/{self.dtype}"
            f"/t{self.threads}/e{self.epochs}{hidden}{rate}/s{self.seed}"
        )


@dataclass(frozen=True)
class Grid:
    """The values of every axis; the cases are all their combinations.

    ``epochs=None`` lets every case choose its own number, from its sizes alone;
    ``learning_rate=None`` takes the solver's usual one.
    """

    models: tuple[str, ...] = tuple(MODELS)
    datasets: tuple[str, ...] = tuple(datasets.TOY_SETS)
    batch_sizes: tuple[int, ...] = (32,)
    dtypes: tuple[str, ...] = ("float32",)
    solvers: tuple[str, ...] = ("sgd",)
    threads: tuple[int, ...] = (1,)
    epochs: int | None = None
    n_hidden: int = 64
    seed: int = 0
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        """Refuse names that do not exist and sizes below one."""
        for kind, names, known in (
            ("model", self.models, MODELS),
            ("dtype", self.dtypes, DTYPES),
            ("solver", self.solvers, SOLVERS),
        ):
            for name in names:
                check_name(kind, name, known)
        for name in self.datasets:
            datasets.check_name(name)
        sizes = [("batch size", self.batch_sizes), ("number of threads", self.threads)]
        sizes += [("number of hidden units", (self.n_hidden,))]
        sizes += [("number of epochs", (1 if self.epochs is None else self.epochs,))]
        for what, values in sizes:
            if min(values) < 1:
                raise ValueError(f"the {what} is {min(values)}; it must be at least 1")
        rate = self.learning_rate
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"the learning rate is {rate:g}; it must be positive and finite")

    def quick(self) -> Grid:
        """Give the same grid with the default data sets cut down to a small and a larger one."""
        default = next(field.default for field in fields(self) if field.name == "datasets")
        return replace(self, datasets=("iris", "digits")) if self.datasets == default else self

    def cases(self) -> list[Case]:
        """List every combination once, in a stable order."""
        axes = itertools.product(
            self.models,
            self.datasets,
            self.solvers,
            self.batch_sizes,
            self.dtypes,
            self.threads,
        )
        return [self._case(*values) for values in dict.fromkeys(axes)]

    def _case(
        self, model: str, dataset: str, solver: str, batch_size: int, dtype: str, threads: int
    ) -> Case:
        n_hidden = self.n_hidden if MODELS[model].has_hidden else None
        epochs = self.epochs or _default_epochs(model, dataset, batch_size, n_hidden)
        rate = self.learning_rate or _LEARNING_RATES.get(solver, _SMALL_RATE)
        return Case(
            model, dataset, solver, batch_size, dtype, threads, epochs, n_hidden, self.seed, rate
        )


# What plain NumPy takes, roughly and rounded: the calls of one step and the rate of its products.
# They only choose a number of epochs, and are constants so that it is the same on every machine.
_STEP_SECONDS = 20e-6
_FLOPS_PER_SECOND = 3e10
_REPEAT_SECONDS = 0.1


def _default_epochs(model: str, dataset: str, batch_size: int, n_hidden: int | None) -> int:
    """Choose the epochs that keep plain NumPy busy for about a tenth of a second."""
    n_samples, n_features, n_classes = datasets.sizes(dataset, binary=MODELS[model].binary)
    steps = -(-n_samples // batch_size)
    flops = MODELS[model].flops_per_sample(n_features, n_hidden, MODELS[model].n_outputs(n_classes))
    seconds = steps * _STEP_SECONDS + n_samples * flops / _FLOPS_PER_SECOND
    return max(1, round(_REPEAT_SECONDS / seconds))
