"""Advice on a user's own file: a program that runs when pasted, what it reaches and costs."""

import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.benchmark.cases import task_of
from fastlogit.benchmark.data_file import DataFile
from fastlogit.benchmark.program import FIT, assemble, pipeline, reading, spelled
from fastlogit.benchmark.schema import BASELINES, PRODUCT
from fastlogit.benchmark.text import format_duration

if TYPE_CHECKING:
    import pandas as pd

_GRIDS: dict[str, dict[str, list[Any]]] = {
    "LogisticRegression": {"C": [10.0**power for power in range(-5, 4)]},
    "MLPClassifier": {"solver": ["lbfgs"], "alpha": [10.0, 0.1, 1e-3], "random_state": [0]},
}
_FOLDS = 5
_MOST_ELEMENTS = 2_000_000  # of X times classes in the cross-validation: some ten seconds
_MOST_NETWORK_ELEMENTS = 150_000  # of X, for trying a network: as long
# Tried until a fit converges; the first is the default.
_MAX_ITER: tuple[dict[str, int], ...] = ({}, {"max_iter": 1000}, {"max_iter": 10_000})
_UNBALANCED = 10  # largest class to smallest: from here on the accuracy alone misleads
_MANY_FITS = 100  # as a search by cross-validation has: what pays later seldom pays
_TASKS = {"cold": "cold-fit", "first in a process": "first-fit", "repeated": "fit"}


def advise(file: DataFile) -> dict[str, Any]:
    """Choose a pipeline by cross-validation, test it, and return its program with its figures."""
    names: dict[str, Any] = {}
    _run(reading(file, str(file.path)), names)
    X, X_test, y_test = names["X_train"], names["X_test"], names["y_test"]
    classes, y = np.unique(names["y_train"], return_inverse=True)
    _run(pipeline("LogisticRegression", {}, X), names)
    rows = _sample(y, X.shape[1])
    with warnings.catch_warnings():  # of candidates
        warnings.simplefilter("ignore")
        encoded = np.asarray(names["model"][:-1].fit_transform(X[rows]), np.float64)
        chosen = _choose(encoded, y[rows])
    for max_iter in _MAX_ITER:
        arguments = chosen["arguments"] | max_iter
        made = pipeline(chosen["model"], arguments, X) + FIT
        if _run(made, names):
            break
    return chosen | _scores(names["model"], X_test, y_test, classes) | {
        "arguments": arguments, "file": file.path.name, "n_train": len(y),
        "class_rows": dict(zip(file.classes, file.class_rows, strict=True)),
        "imbalance": max(file.class_rows) / min(file.class_rows),
        "baseline_accuracy": float(np.mean(y_test == classes[np.argmax(np.bincount(y))])),
        "source": assemble(reading(file, file.path.name), made),
    }  # fmt: skip


def _run(source: str, names: dict[str, Any]) -> bool:
    """Run a part of the program; return whether its fit, if any, converged."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(assemble(source), names)  # noqa: S102 - written by `program` alone, texts by repr
    return not any(issubclass(each.category, ConvergenceWarning) for each in caught)


def _sample(y: NDArray[np.intp], n_columns: int) -> NDArray[np.bool_]:
    """Return which rows to cross-validate on, of each class its share."""
    counts, rng = np.bincount(y), np.random.default_rng(0)
    budget, sample = _MOST_ELEMENTS / len(counts), np.zeros(len(y), np.bool_)
    # With more columns than rows the work is that of the square of the rows.
    share = max(budget / n_columns, math.sqrt(budget)) / len(y)
    for k, count in enumerate(counts):
        rows = rng.permutation(np.flatnonzero(y == k))
        sample[rows[: max(2 * _FOLDS, round(share * count))]] = True
    return sample


def _choose(X: NDArray[np.float64], y: NDArray[np.intp]) -> dict[str, Any]:
    """Return the model with the smallest log loss in cross-validation, with its arguments."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    import fastlogit

    folds = min(_FOLDS, int(np.bincount(y).min()))
    if folds < 2:
        return {"model": "LogisticRegression", "arguments": {}, "folds": None}
    candidates: list[Any] = [fastlogit.LogisticRegression(max_iter=300)]
    candidates += [fastlogit.MLPClassifier(max_iter=500)] * (X.size <= _MOST_NETWORK_ELEMENTS)
    if X.shape[1] > 2 * X.shape[0]:
        # XXᵀ, and with it every fit with an L2 penalty, is that of a matrix with n columns.
        X = np.asarray(np.linalg.qr(X.T, mode="r")).T
    cv = StratifiedKFold(folds, shuffle=True, random_state=0)
    chosen, best = dict[str, Any](), np.zeros(folds)
    for model in candidates:
        name = type(model).__name__
        search = GridSearchCV(model, _GRIDS[name], scoring="neg_log_loss", cv=cv, refit=False)
        results = search.fit(X, y).cv_results_
        splits = [results[f"split{fold}_test_score"] for fold in range(folds)]
        scores = np.array(splits)[:, search.best_index_]
        gains = scores - best  # of the network: beyond their standard error
        if not chosen or gains.mean() > 2 * gains.std(ddof=1) / math.sqrt(folds):
            chosen = {"model": name, "arguments": search.best_params_, "folds": folds}
            best = scores
    return chosen


def _scores(model: Any, X: Any, y: NDArray[Any], classes: NDArray[Any]) -> dict[str, Any]:
    from scipy.stats import binomtest
    from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

    predicted, proba = model.predict(X), model.predict_proba(X)
    right = int(np.sum(predicted == y))
    low, high = map(float, binomtest(right, len(y)).proportion_ci(method="wilson"))
    area = None  # where the test rows lack a class
    if len(set(y)) == len(classes):
        area = float(
            roc_auc_score(y, proba[:, 1] if len(classes) == 2 else proba, multi_class="ovr")
        )
    return {
        "n_test": len(y), "accuracy": right / len(y), "accuracy_low": low, "accuracy_high": high,
        "balanced_accuracy": float(balanced_accuracy_score(y, predicted)), "roc_auc": area,
        "classes": [str(name) for name in classes],
        "confusion_matrix": confusion_matrix(y, predicted, labels=classes).tolist(),
    }  # fmt: skip


def add_costs(advice: dict[str, Any], summary: "pd.DataFrame") -> dict[str, Any]:
    """Add what a fit costs, from a run's summary on the same file, and which library to take.

    ``"break_even"`` is the number of fits in one process, the first one included, from which
    fastlogit takes less time. Without times of both libraries the advice stays as it is.
    """
    rows = summary[(summary["comparison"] == "same-estimator") & (summary["status"] == "ok")]
    rows = rows[rows["model"] == advice["model"]]
    seconds = rows["median_s"].groupby([rows["implementation"], rows["case_id"].map(task_of)])
    medians, libraries = seconds.median(), (PRODUCT, BASELINES["same-estimator"])
    costs = {
        library: {word: medians.get((library, task)) for word, task in _TASKS.items()}
        for library in libraries
    }
    (_, first, repeated), (_, other_first, other) = (costs[name].values() for name in libraries)
    if repeated is None or other is None:
        return advice
    wait = 0.0 if first is None or other_first is None else first - other_first
    gain = other - repeated
    fits = None if gain <= 0 else 1 if wait <= 0 else 2 + math.floor(wait / gain)
    library = libraries[fits is None or fits > _MANY_FITS]
    return advice | {"costs": costs, "break_even": fits, "library": library}


def advice_lines(advice: dict[str, Any]) -> list[str]:
    """Return the advice for a terminal: at most 10 lines of at most 78 characters, plain text."""
    share = {name: f"{100 * value:.1f} %" for name, value in advice.items() if type(value) is float}
    rows = f" ({advice['n_train']:,} training and {advice['n_test']:,} test rows):"
    area = "unknown" if advice["roc_auc"] is None else f"{advice['roc_auc']:.3f}"
    lines = [
        f"Advice for {advice['file'][: 67 - len(rows)]}{rows}",
        f"Model: {spelled(advice['model'], advice['arguments'])}"
        + (f", by {advice['folds']}-fold cross-validation" if advice["folds"] else ""),
        f"Test accuracy: {share['accuracy']} (95 % interval {share['accuracy_low']} to "
        f"{share['accuracy_high']})",
        f"Majority-class baseline: {share['baseline_accuracy']}; balanced accuracy: "
        f"{share['balanced_accuracy']}; ROC AUC: {area}",
    ]
    if advice["accuracy_low"] <= advice["baseline_accuracy"]:
        lines.append("The accuracy is not clearly above the majority-class baseline.")
    if advice["imbalance"] >= _UNBALANCED:
        weights = '; try class_weight="balanced"' if advice["model"] == "LogisticRegression" else ""
        ratio = f"{advice['imbalance']:.0f}:1"
        lines.append(f"Unbalanced classes ({ratio}): judge by ROC AUC{weights}.")
    for library, costs in advice.get("costs", {}).items():
        parts = [f"{word} {format_duration(s)}" for word, s in costs.items() if s is not None]
        lines.append(f"One fit, {library}: {', '.join(parts)}")
    if "streamed" in advice:
        lines.append(advice["streamed"])
    if "costs" in advice:
        reasons = {None: "its fits are no slower", 1: "it is faster from the first fit on"}
        even = f"fastlogit breaks even at {advice['break_even'] or 0:,} fits in one process"
        lines.append(f"Take {advice['library']}: {reasons.get(advice['break_even'], even)}.")
    return [part for line in lines for part in textwrap.wrap(line, 78, subsequent_indent="  ")]
