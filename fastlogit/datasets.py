"""Data sets by name: the toy sets of scikit-learn, and its generated sets at any size."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlogit import names

__all__ = ["GENERATED", "TOY_SETS", "Dataset", "check_name", "load"]

GENERATED = "classification-<n>x<d>x<k>"


@dataclass(frozen=True)
class Dataset:
    """One data set in the form that `fastlogit.train` takes.

    Attributes
    ----------
    name : str
        The name that it was loaded by.
    X : ndarray of shape (n_samples, n_features)
        C-contiguous; every feature has mean 0 and standard deviation 1, constant ones are all 0.
    y : ndarray of shape (n_samples,), dtype intp
        Class indices ``0..n_classes-1``.
    n_classes : int
        Number of classes.
    """

    name: str
    X: NDArray[Any]
    y: NDArray[np.intp]
    n_classes: int


def load(
    name: str, *, binary: bool = False, dtype: DTypeLike = np.float64, seed: int = 0
) -> Dataset:
    """Load a data set by name, standardised.

    Parameters
    ----------
    name : str
        A name in `TOY_SETS`, or ``classification-<n>x<d>x<k>`` for n generated rows of d features
        in k classes.
    binary : bool, default=False
        Return the two-class form: label 1 stands for the classes from ``ceil(n_classes / 2)`` up
        (digits: 5 to 9), label 0 for the others. A two-class set is left as it is.
    dtype : float32 or float64, default=float64
        The type of ``X``, which is standardised in float64.
    seed : int, default=0
        Seed of the generated sets; the ones that ship with scikit-learn do not depend on it.

    Returns
    -------
    Dataset
        The arrays and the number of classes.

    Raises
    ------
    ValueError
        If the name is unknown, a generated size impossible or dtype neither float32 nor float64.

    Examples
    --------
    >>> from fastlogit.datasets import load
    >>> iris = load("iris")
    >>> iris.X.shape, iris.n_classes
    ((150, 4), 3)
    >>> load("iris", binary=True).y.sum()
    np.int64(50)
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype}; it must be float32 or float64")
    if shape := check_name(name):
        n, d, k = shape
        n_informative = max((k - 1).bit_length(), d // 2)
        # Without flipped labels every class keeps its rows, however few they are.
        raw, labels = _sklearn(
            "make_classification", seed, n_samples=n, n_features=d, n_informative=n_informative,
            n_redundant=(d - n_informative) // 2, n_classes=k, n_clusters_per_class=1, flip_y=0.0,
        )  # fmt: skip
    else:
        raw, labels = TOY_SETS[name](seed)
    X = np.array(raw, dtype=np.float64)
    # Tested on the values: the standard deviation of equal values is often 1e-17, not 0.
    constant = (X[0] == X).all(axis=0)
    X -= X.mean(axis=0)
    X /= np.where(constant, 1.0, X.std(axis=0))
    X[:, constant] = 0.0
    n_classes, y = int(labels.max()) + 1, np.ascontiguousarray(labels, dtype=np.intp)
    if binary and n_classes > 2:
        y = (y >= -(-n_classes // 2)).astype(np.intp)
        n_classes = 2
    return Dataset(name, X.astype(dtype, order="C"), y, n_classes)


def check_name(name: str) -> tuple[int, int, int] | None:
    """Return the sizes in the name of a generated set, None for one of `TOY_SETS`, else raise."""
    if not name.startswith("classification"):
        names.check_name("data set", name, [*TOY_SETS, GENERATED])
        return None
    match = re.fullmatch(r"classification-([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", name)
    if match is None:
        raise ValueError(f"no data set {name!r}: a generated set is named {GENERATED}, three sizes")
    n, d, k = (int(size) for size in match.groups())
    if k < 2:
        raise ValueError(f"{name!r} has {k} class; a generated set needs at least 2")
    if n < 2 * k:
        raise ValueError(f"{name!r} has {n} rows for {k} classes; it needs at least {2 * k}")
    least = (k - 1).bit_length()  # for a hypercube's corner per class
    if d < least:
        raise ValueError(f"{name!r} has {d} features; {k} classes need at least {least}")
    return n, d, k


def _sklearn(function: str, seed: int, **settings: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the arrays of a loader or a generator of scikit-learn, which is imported only here."""
    import sklearn.datasets

    more = {"random_state": seed} if function.startswith("make") else {"return_X_y": True}
    X, y, *_ = getattr(sklearn.datasets, function)(**settings, **more)
    return X, y


TOY_SETS: dict[str, Callable[[int], tuple[NDArray[Any], NDArray[Any]]]] = {
    "iris": partial(_sklearn, "load_iris"),
    "wine": partial(_sklearn, "load_wine"),
    "breast_cancer": partial(_sklearn, "load_breast_cancer"),
    "digits": partial(_sklearn, "load_digits"),
    "moons": partial(_sklearn, "make_moons", n_samples=1000, noise=0.2),
    "circles": partial(_sklearn, "make_circles", n_samples=1000, noise=0.1, factor=0.5),
    "blobs": partial(_sklearn, "make_blobs", n_samples=1000, n_features=8, centers=5),
}
