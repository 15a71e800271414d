"""Cases that are measured in no time."""

from fastlogit.benchmark.cases import Grid
from fastlogit.models import MODELS


def training_case(model="softmax", dataset="iris", *, solver="sgd", dtype="float32", **axes):
    """Return a case of mini-batch training; `n_hidden` counts for a network alone."""
    if not MODELS[model].has_hidden:
        axes.pop("n_hidden", None)
    axes |= {"models": (model,), "solvers": (solver,), "dtypes": (dtype,)}
    if "data_file" not in axes:
        axes["datasets"] = (dataset,)
    return Grid(questions=("same-steps",), **axes).cases()[0]


def estimator_case(estimator="LogisticRegression", task="fit", *, solver=None, dataset="iris"):
    """Return a case of the same estimator."""
    solvers = () if solver is None else (solver,)
    grid = Grid(questions=("same-estimator",), datasets=(dataset,), solvers=solvers)
    return next(each for each in grid.cases() if (each.model, each.task) == (estimator, task))
