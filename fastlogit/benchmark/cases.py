"""What is measured: a case is one training task, a grid is a list of them.

A case holds everything that decides the work, so all contenders of a case do the same sums, and
two runs may be compared wherever their ``cell_id`` agree.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from fastlogit import datasets
from fastlogit.benchmark.own_data import Source
from fastlogit.models import ACTIVATIONS, MODELS, OPTIMIZERS
from fastlogit.names import check_name

__all__ = [
    "DTYPES",
    "TINY_ELEMENTS",
    "Case",
    "Grid",
    "epoch_seconds",
    "flops_per_sample",
    "sizes",
    "usual_rate",
]

# Step sizes that train all the toy sets: 0.1 for plain gradients, 0.001 where they are scaled.
_LEARNING_RATES, _SMALL_RATE = {"sgd": 0.1}, 0.001

DTYPES = ("float32", "float64")

# With fewer a step is dominated by calls, not arithmetic: throughput says little about kernels.
TINY_ELEMENTS = 50_000


def usual_rate(solver: str) -> float:
    """Give the step size that a solver has unless another is asked for."""
    return _LEARNING_RATES.get(solver, _SMALL_RATE)


@dataclass(frozen=True)
class Case:
    """One training task, the same for every contender.

    Attributes
    ----------
    model : str
        One of the names in `fastlogit.models.MODELS`.
    dataset : str
        A name that `fastlogit.datasets.load` knows; binary models take its two-class form. With a
        `source` the name of its file.
    solver : str
        A name in `fastlogit.models.OPTIMIZERS`.
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
    target_loss : float or None
        The mean training loss that counts as reached; None for the loss that the NumPy reference
        ends with. It changes nothing of the work, so it is no part of `cell_id`.
    source : Source or None
        The user's own file that takes the place of a named data set.
    activation : str
        A name in `fastlogit.models.ACTIVATIONS`, of the networks' hidden layer.
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
    target_loss: float | None = None
    source: Source | None = None
    activation: str = "logistic"

    @property
    def cell_id(self) -> str:
        """The case spelled out in one word, the same in every run."""
        hidden = "" if self.n_hidden is None else f"/h{self.n_hidden}"
        usual = self.learning_rate == usual_rate(self.solver)
        rate = "" if usual else f"/lr{self.learning_rate:g}"
        activation = "" if self.activation == "logistic" else f"/{self.activation}"
        return (
            f"{self.model}/{self.dataset}/{self.solver}/b{self.batch_size}/{self.dtype}"
            f"/t{self.threads}/e{self.epochs}{hidden}{activation}{rate}/s{self.seed}"
        )


@dataclass(frozen=True)
class Grid:
    """The values of every axis; the cases are all their combinations.

    An axis left empty takes what suits the data: all four models on the toy sets in batches of 32;
    with a `source` the models for its number of classes, in batches of 32 and, if it has more rows,
    of 256. Once made, a grid has no empty axis.

    ``epochs=None`` lets every case choose its own number, from its sizes alone, and all cases of a
    file the same; ``learning_rate=None`` takes the solver's usual one; for ``target_loss=None`` see
    `Case`.
    """

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    solvers: tuple[str, ...] = ("sgd",)
    threads: tuple[int, ...] = (1,)
    epochs: int | None = None
    n_hidden: int = 64
    seeds: tuple[int, ...] = (0,)
    learning_rate: float | None = None
    target_loss: float | None = None
    source: Source | None = None
    activation: str = "logistic"

    def __post_init__(self) -> None:
        """Fill empty axes; refuse names that do not exist and numbers that cannot be."""
        for axis, values in self._defaults().items():
            if not getattr(self, axis):
                object.__setattr__(self, axis, values)
        for kind, names, known in (
            ("model", self.models, MODELS),
            ("dtype", self.dtypes, DTYPES),
            ("solver", self.solvers, OPTIMIZERS),
            ("activation", (self.activation,), ACTIVATIONS),
        ):
            for name in names:
                check_name(kind, name, known)
        self._check_data()
        sizes = [("batch size", self.batch_sizes), ("number of threads", self.threads)]
        sizes += [("number of hidden units", (self.n_hidden,))]
        sizes += [("number of epochs", (1 if self.epochs is None else self.epochs,))]
        for what, values in sizes:
            if min(values) < 1:
                raise ValueError(f"the {what} is {min(values)}; it must be at least 1")
        for seed in self.seeds:
            if not 0 <= seed < 2**32:
                raise ValueError(f"the seed is {seed}; it must be from 0 to {2**32 - 1}")
        for what, real in (
            ("learning rate", self.learning_rate),
            ("target loss", self.target_loss),
        ):
            if real is not None and not 0 < real < math.inf:
                raise ValueError(f"the {what} is {real:g}; it must be positive and finite")

    def _defaults(self) -> dict[str, tuple[object, ...]]:
        if self.source is None:
            toys = {"models": tuple(MODELS), "datasets": tuple(datasets.TOY_SETS)}
            return {**toys, "batch_sizes": (32,)}
        two = len(self.source.classes) == 2
        suited = tuple(name for name, model in MODELS.items() if two or not model.binary)
        # A batch of more than all rows is one of all rows, and no way to train a small file.
        batch_sizes = (32, 256) if self.source.n_train > 256 else (32,)
        return {"models": suited, "datasets": (self.source.name,), "batch_sizes": batch_sizes}

    def _check_data(self) -> None:
        if self.source is None:
            for name in self.datasets:
                datasets.check_name(name)
            return
        if self.datasets != (self.source.name,):
            raise ValueError(
                f"the data sets {', '.join(self.datasets)} are asked for beside the file "
                f"{self.source.path.name}; a run takes either"
            )
        n_classes = len(self.source.classes)
        for name in self.models:
            if MODELS[name].binary and n_classes > 2:
                others = ", ".join(other for other in MODELS if not MODELS[other].binary)
                raise ValueError(
                    f"the model {name!r} is for two classes and {self.source.path.name} has "
                    f"{n_classes}; for any number there are {others}"
                )

    def quick(self) -> Grid:
        """Give the same grid with the toy sets cut down to a small and a larger one."""
        every = self.source is None and self.datasets == tuple(datasets.TOY_SETS)
        return replace(self, datasets=("iris", "digits")) if every else self

    def cases(self) -> list[Case]:
        """List every combination once, in a stable order."""
        axes = itertools.product(
            self.models,
            self.datasets,
            self.solvers,
            self.batch_sizes,
            self.dtypes,
            self.threads,
            self.seeds,
        )
        return [self._case(*values) for values in dict.fromkeys(axes)]

    def _case(
        self,
        model: str,
        dataset: str,
        solver: str,
        batch_size: int,
        dtype: str,
        threads: int,
        seed: int,
    ) -> Case:
        n_hidden = self.n_hidden if MODELS[model].has_hidden else None
        return Case(
            model=model,
            dataset=dataset,
            solver=solver,
            batch_size=batch_size,
            dtype=dtype,
            threads=threads,
            epochs=self.epochs or self._epochs(model, dataset, batch_size, n_hidden),
            n_hidden=n_hidden,
            seed=seed,
            learning_rate=self.learning_rate or usual_rate(solver),
            target_loss=self.target_loss,
            source=self.source,
            activation="logistic" if n_hidden is None else self.activation,
        )

    def _epochs(self, model: str, dataset: str, batch_size: int, n_hidden: int | None) -> int:
        if self.source is not None:
            return _own_epochs(self.source, self.n_hidden)
        return _default_epochs(model, sizes(model, dataset), batch_size, n_hidden)


def sizes(model: str, dataset: str, source: Source | None = None) -> tuple[int, int, int]:
    """Give the rows trained on, the features and the classes of a data set in a model's form."""
    if source is not None:
        return source.n_train, source.n_features, len(source.classes)
    binary = MODELS[model].binary
    if shape := datasets.check_name(dataset):  # a generated set, which need not be generated
        n, d, k = shape
        return n, d, 2 if binary else k
    data = datasets.load(dataset, binary=binary)
    return *data.X.shape, data.n_classes


def flops_per_sample(n_features: int, n_hidden: int | None, n_outputs: int) -> int:
    """Count the flops of one training row's matrix products, a multiply-add as two.

    Forward, weight gradient and gradient of a hidden layer cost 2 · fan_in · fan_out each.
    """
    if n_hidden is None:
        return 4 * n_features * n_outputs
    return 4 * n_features * n_hidden + 6 * n_hidden * n_outputs


# What plain NumPy takes, roughly and rounded: the calls of one step and the rate of its products.
# They choose a number of epochs, and are constants so that it is the same on every machine.
_STEP_SECONDS = 20e-6
_FLOPS_PER_SECOND = 3e10
_REPEAT_SECONDS = 0.1

# With a user's own file it is the models that are compared, too: all get the same epochs, so many
# that they have seen enough rows to tell by, unless the slowest one would take too long.
_OWN_ROWS, _MOST_OWN_EPOCHS, _OWN_REPEAT_SECONDS = 100_000, 100, 0.5


def epoch_seconds(
    model: str, sizes: tuple[int, int, int], batch_size: int, n_hidden: int | None
) -> float:
    """Guess how long plain NumPy takes for an epoch."""
    n_samples, n_features, n_classes = sizes
    steps = -(-n_samples // batch_size)
    flops = flops_per_sample(n_features, n_hidden, MODELS[model].n_outputs(n_classes))
    return steps * _STEP_SECONDS + n_samples * flops / _FLOPS_PER_SECOND


def _default_epochs(
    model: str, sizes: tuple[int, int, int], batch_size: int, n_hidden: int | None
) -> int:
    """Choose the epochs that keep plain NumPy busy for about a tenth of a second."""
    return max(1, round(_REPEAT_SECONDS / epoch_seconds(model, sizes, batch_size, n_hidden)))


def _own_epochs(source: Source, n_hidden: int) -> int:
    """Choose the epochs of every model and batch size on a user's own file."""
    slowest = epoch_seconds("mlp-softmax", sizes("mlp-softmax", "", source), 32, n_hidden)
    enough = min(_MOST_OWN_EPOCHS, round(_OWN_ROWS / source.n_train))
    return max(1, min(enough, round(_OWN_REPEAT_SECONDS / slowest)))
