"""What is measured: a case is one task, a grid is the list of them that a run measures.

A case holds everything that decides the work, so that all implementations of a case do the same,
and two runs may be compared wherever their ``case_id`` agree.
"""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from fastlogit import datasets
from fastlogit.benchmark.data_file import DataFile
from fastlogit.benchmark.schema import BASELINES
from fastlogit.models import ACTIVATIONS, MODELS, OPTIMIZERS
from fastlogit.names import check_name

Task = Literal["train", "fit", "predict_proba", "first-fit", "cold-fit"]

DTYPES = ("float32", "float64")
QUESTIONS = tuple(BASELINES)
FIRST_FITS: tuple[Task, ...] = ("first-fit", "cold-fit")

# With fewer elements of X a step is dominated by calls, not by arithmetic.
TINY_ELEMENTS = 50_000

# The estimators of the first question and their solvers that the kernels run, the default first.
ESTIMATORS = {
    "LogisticRegression": ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"),
    "MLPClassifier": ("adam", "sgd", "lbfgs"),
}


def usual_activation(task: Task) -> str:
    """Return the activation of a network unless another is asked for."""
    return "logistic" if task == "train" else "relu"  # of the four models; of MLPClassifier


def usual_rate(solver: str) -> float:
    """Return the learning rate that a solver of mini-batches has unless another is asked for."""
    return 0.1 if solver == "sgd" else 0.001  # which train all toy sets


@dataclass(frozen=True)
class Case:
    """One task, the same for every implementation.

    ``"train"`` is mini-batch training of one of the four models. The other tasks are what an
    estimator does: a fit or a prediction, repeated, and the first fit of a process, import
    included, with the kernels compiled before or not; it has its own batch size, epochs and
    learning rate, which are 0 here.
    """

    model: str  # a name in `fastlogit.models.MODELS`, or an estimator's in `ESTIMATORS`
    dataset: str  # a name that `fastlogit.datasets.load` knows, or that of the file
    solver: str  # a name in `fastlogit.models.OPTIMIZERS`, or one of the estimator's solvers
    dtype: str
    threads: int
    seed: int  # of the initial parameters, the row order and the generated data
    task: Task = "train"
    batch_size: int = 0
    epochs: int = 0  # in one timed repeat
    n_hidden: int | None = None
    learning_rate: float = 0.0
    # The mean training loss that counts as reached, by default the one that the NumPy reference
    # ends with. It changes nothing of the work, so it is no part of `case_id`.
    target_loss: float | None = None
    data_file: DataFile | None = None
    activation: str = "logistic"

    @cached_property
    def case_id(self) -> str:
        """The case spelled out in one word, the same in every run."""
        task = f"b{self.batch_size}" if self.task == "train" else self.task
        parts = [self.model, self.dataset, self.solver, task, self.dtype, f"t{self.threads}"]
        if self.task == "train":
            parts.append(f"e{self.epochs}")
        if self.n_hidden is not None:
            parts.append(f"h{self.n_hidden}")
            if self.activation != usual_activation(self.task):
                parts.append(self.activation)
        if self.learning_rate not in (0, usual_rate(self.solver)):
            parts.append(f"lr{self.learning_rate:g}")
        return "/".join([*parts, f"s{self.seed}"])

    @property
    def comparisons(self) -> tuple[str, ...]:
        """The questions that the case answers."""
        return QUESTIONS[1:] if self.task == "train" else QUESTIONS[:1]


def task_of(case_id: str) -> str:
    """Return the task of a case by its id."""
    word = case_id.split("/")[3]
    return "train" if word[1:].isdigit() else word


@dataclass(frozen=True)
class Grid:
    """The values of every axis; the cases are their combinations, question by question.

    An axis left empty takes what suits the data: all models and estimators on the toy sets, with a
    `data_file` those for its number of classes. ``epochs=None`` lets every case choose its own
    number, from its sizes alone; for ``target_loss=None`` see `Case`.
    """

    questions: tuple[str, ...] = QUESTIONS
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    dtypes: tuple[str, ...] = ()
    solvers: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    epochs: int | None = None
    n_hidden: int | None = None
    seeds: tuple[int, ...] = (0,)
    learning_rate: float | None = None
    target_loss: float | None = None
    data_file: DataFile | None = None
    activation: str | None = None  # of the networks; the usual one of each task
    brief: bool = False  # one first fit, no cold fits, and networks on one data set alone

    def __post_init__(self) -> None:
        """Fill empty axes; refuse names that do not exist and numbers that cannot be."""
        for axis, values in self._defaults().items():
            object.__setattr__(self, axis, getattr(self, axis) or values)
        known_solvers = dict.fromkeys([*OPTIMIZERS, *itertools.chain(*ESTIMATORS.values())])
        for kind, names, known in (
            ("question", self.questions, QUESTIONS), ("model", self.models, MODELS),
            ("dtype", self.dtypes, DTYPES), ("solver", self.solvers, known_solvers),
            ("activation", (self.activation,) if self.activation else (), ACTIVATIONS),
        ):  # fmt: skip
            for name in names:
                check_name(kind, name, known)
        self._check_data()
        for what, values in (
            ("batch size", self.batch_sizes), ("number of threads", self.threads),
            ("number of hidden units", (self.n_hidden,)), ("number of epochs", (self.epochs,)),
        ):  # fmt: skip
            for value in values:
                if value is not None and value < 1:
                    raise ValueError(f"the {what} is {value}; it must be at least 1")
        for seed in self.seeds:
            if not 0 <= seed < 2**32:
                raise ValueError(f"the seed is {seed}; it must be from 0 to {2**32 - 1}")
        for what in ("learning rate", "target loss"):
            real = getattr(self, what.replace(" ", "_"))
            if real is not None and not 0 < real < math.inf:
                raise ValueError(f"the {what} is {real:g}; it must be positive and finite")
        if self.n_hidden is not None and not any(MODELS[name].has_hidden for name in self.models):
            models = ", ".join(self.models)
            raise ValueError(f"--hidden {self.n_hidden} is for networks, and {models} is none")

    def _defaults(self) -> dict[str, tuple[object, ...]]:
        if (file := self.data_file) is None:
            sets = tuple(datasets.TOY_SETS)
            return {"models": tuple(MODELS), "datasets": sets, "batch_sizes": (32,)}
        two, networks = len(file.classes) == 2, suits_networks(file)
        suited = tuple(
            name for name, model in MODELS.items()
            if (two or not model.binary) and (networks or not model.has_hidden)
        )  # fmt: skip
        # A batch of more than all rows is one of all rows, and no way to train a small file.
        batch_sizes = (32, 256) if file.n_train > 256 else (32,)
        return {"models": suited, "datasets": (file.name,), "batch_sizes": batch_sizes}

    def _check_data(self) -> None:
        if (file := self.data_file) is None:
            for name in self.datasets:
                datasets.check_name(name)
            return
        if self.datasets != (file.name,):
            both = f"--dataset {', '.join(self.datasets)} and --data {file.path.name}"
            raise ValueError(f"{both} exclude each other; give one of them")
        for name in self.models:
            if MODELS[name].binary and len(file.classes) > 2:
                others = ", ".join(other for other in MODELS if not MODELS[other].binary)
                raise ValueError(
                    f"the model {name!r} is for two classes and {file.path.name} has "
                    f"{len(file.classes)}; for any number there are {others}"
                )

    def quick(self) -> "Grid":
        """Return the same grid cut down to what takes less than a minute: see `brief`.

        Of all toy sets a small and a larger one remain. Networks train on the last one, since small
        sets take more steps; MLPClassifier, with its many epochs, is fitted to the first.
        """
        every = self.data_file is None and self.datasets == tuple(datasets.TOY_SETS)
        return replace(self, datasets=("iris", "digits") if every else self.datasets, brief=True)

    def cases(self) -> list[Case]:
        """List every case once, in the order of the questions."""
        cases: list[Case] = []
        if "same-estimator" in self.questions:
            cases += self._estimator_cases()
        if set(self.questions) - {"same-estimator"}:
            cases += self._training_cases()
        return list(dict.fromkeys(cases))

    def _estimator_cases(self) -> list[Case]:
        cases, first_fits, dtypes = [], [], self.dtypes or ("float64",)
        first_set = self.datasets[0]  # the wait for a first fit hardly depends on it
        for estimator, known in ESTIMATORS.items():
            hidden = estimator == "MLPClassifier"
            if not any(MODELS[name].has_hidden == hidden for name in self.models):
                continue
            solvers = [name for name in self.solvers if name in known] or [known[0]]
            sets = (first_set,) if hidden and self.brief else self.datasets
            own: list[Case] = []
            axes = itertools.product(sets, solvers, dtypes, self.threads, self.seeds)
            for dataset, solver, dtype, threads, seed in axes:
                case = Case(
                    estimator, dataset, solver, dtype, threads, seed, task="fit",
                    n_hidden=(self.n_hidden or 100) if hidden else None, data_file=self.data_file,
                    activation=self.activation or usual_activation("fit"),
                )  # fmt: skip
                own += [case, replace(case, task="predict_proba")]
            cases += own
            first = next(case for case in own if case.dataset == first_set)
            tasks = FIRST_FITS[: not hidden] if self.brief else FIRST_FITS
            first_fits += [replace(first, task=task) for task in tasks]
        return cases + first_fits

    def _training_cases(self) -> list[Case]:
        solvers = [name for name in self.solvers if name in OPTIMIZERS] or ["sgd"]
        axes = itertools.product(
            self.models, self.datasets, solvers, self.batch_sizes, self.dtypes or ("float32",),
            self.threads, self.seeds,
        )  # fmt: skip
        cases = []
        for model, dataset, solver, batch_size, dtype, threads, seed in axes:
            if self.brief and MODELS[model].has_hidden and dataset != self.datasets[-1]:
                continue
            n_hidden = (self.n_hidden or 64) if MODELS[model].has_hidden else None
            epochs = self.epochs or self._epochs(model, dataset, batch_size, n_hidden)
            cases.append(Case(
                model, dataset, solver, dtype, threads, seed, batch_size=batch_size, epochs=epochs,
                n_hidden=n_hidden, learning_rate=self.learning_rate or usual_rate(solver),
                target_loss=self.target_loss, data_file=self.data_file,
                activation=self.activation or usual_activation("train"),
            ))  # fmt: skip
        return cases

    def _epochs(self, model: str, dataset: str, batch_size: int, n_hidden: int | None) -> int:
        file = self.data_file
        if file is None:
            seconds = epoch_seconds(model, sizes(model, dataset), batch_size, n_hidden)
            return max(1, round(_REPEAT_SECONDS / seconds))
        # The same for all models and batch sizes.
        shape = sizes("mlp-softmax", "", file)
        slowest = epoch_seconds("mlp-softmax", shape, 32, self.n_hidden or 64)
        enough = min(_MOST_OWN_EPOCHS, round(_OWN_ROWS / file.n_train))
        return max(1, min(enough, round(_OWN_REPEAT_SECONDS / slowest)))


def suits_networks(file: DataFile) -> bool:
    """Return whether a run fits networks to a user's file unless it is asked to."""
    return file.n_train * file.n_features <= _MOST_NETWORK_ELEMENTS


def sizes(model: str, dataset: str, data_file: DataFile | None = None) -> tuple[int, int, int]:
    """Return the rows trained on, the features and the classes of a data set in a model's form."""
    if data_file is not None:
        return data_file.n_train, data_file.n_features, len(data_file.classes)
    binary = model in MODELS and MODELS[model].binary
    if shape := datasets.check_name(dataset):  # a generated set, which need not be generated
        return *shape[:2], 2 if binary else shape[2]
    data = datasets.load(dataset, binary=binary)
    return *data.X.shape, data.n_classes


def flops_per_sample(n_features: int, n_hidden: int | None, n_outputs: int) -> int:
    """Count the flops of one training row's matrix products, a multiply-add as two."""
    # Forward, weight gradient and gradient of a hidden layer cost 2 · fan_in · fan_out each.
    if n_hidden is None:
        return 4 * n_features * n_outputs
    return 4 * n_features * n_hidden + 6 * n_hidden * n_outputs


# What plain NumPy takes, roughly and rounded: the calls of one step and the rate of its products.
# They choose a number of epochs, and are constants so that it is the same on every machine.
_STEP_SECONDS, _FLOPS_PER_SECOND, _REPEAT_SECONDS = 20e-6, 3e10, 0.05
# With a user's own file the epochs are so many that enough rows were seen, unless the slowest model
# would take too long.
_OWN_ROWS, _MOST_OWN_EPOCHS, _OWN_REPEAT_SECONDS = 100_000, 100, 0.5
# With more elements of X one fit of MLPClassifier may take minutes, and a run makes a dozen.
_MOST_NETWORK_ELEMENTS = 1 << 20


def epoch_seconds(
    model: str, sizes: tuple[int, int, int], batch_size: int, n_hidden: int | None
) -> float:
    """Estimate how long plain NumPy takes for an epoch."""
    n_samples, n_features, n_classes = sizes
    steps = -(-n_samples // batch_size)
    flops = flops_per_sample(n_features, n_hidden, MODELS[model].n_outputs(n_classes))
    return steps * _STEP_SECONDS + n_samples * flops / _FLOPS_PER_SECOND
