"""Data sets by name: scikit-learn's toy sets and its generators, ready to train on.

Four sets ship with scikit-learn (iris, wine, breast_cancer, digits), three are small generated
ones (moons, circles, blobs), and ``classification-<n>x<d>x<k>`` generates n rows of d features in
k classes at any size. `TOY_SETS` is the one table of the fixed names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["GENERATED", "TOY_SETS", "Dataset", "check_name", "load", "sizes"]

Arrays = tuple["NDArray[Any]", "NDArray[Any]"]

GENERATED = "classification-<n>x<d>x<k>"

# Below this a step is dominated by calls, not arithmetic: throughput says little about the kernels.
TINY_ELEMENTS = 50_000


@dataclass(frozen=True)
class Dataset:
    """One data set in the form that `fastlogit.train` takes.

    Attributes
    ----------
    name : str
        The name it was loaded by.
    X : ndarray of shape (n_samples, n_features)
        C-contiguous; every feature has mean 0 and standard deviation 1, constant ones are all 0.
    y : ndarray of shape (n_samples,), dtype intp
        Class indices ``0..n_classes-1``.
    n_classes : int
        The number of classes.
    """

    name: str
    X: NDArray[Any]
    y: NDArray[np.intp]
    n_classes: int

    @property
    def tiny(self) -> bool:
        """Whether times on this set are bound by overhead rather than by arithmetic."""
        return self.X.size < TINY_ELEMENTS


def load(
    name: str, *, binary: bool = False, dtype: DTypeLike = np.float64, seed: int = 0
) -> Dataset:
    """Load a data set by name, standardised.

    Parameters
    ----------
    name : str
        A name in `TOY_SETS`, or ``classification-<n>x<d>x<k>``, such as
        ``classification-20000x64x10``.
    binary : bool, default=False
        Return the two-class form: label 1 stands for the classes from ``ceil(n_classes / 2)`` up
        (digits: 5 to 9), label 0 for the others. A two-class set is left as it is.
    dtype : float32 or float64, default=float64
        The type of ``X``. Standardising is done in float64 before the cast.
    seed : int, default=0
        Seed of the generated sets; the ones that ship with scikit-learn do not depend on it.

    Returns
    -------
    Dataset
        The arrays and the number of classes.

    Raises
    ------
    ValueError
        If the name is unknown, a generated size is impossible or dtype is not a float of 32 or
        64 bits.

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
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype is {dtype}; it must be float32 or float64")
    check_name(name)
    raw, labels = TOY_SETS[name](seed) if name in TOY_SETS else _generate(name, seed)
    n_classes = int(labels.max()) + 1
    y = np.ascontiguousarray(labels, dtype=np.intp)
    if binary and n_classes > 2:
        y = (y >= -(-n_classes // 2)).astype(np.intp)
        n_classes = 2
    return Dataset(name, _standardise(raw).astype(dtype, order="C"), y, n_classes)


def sizes(name: str, *, binary: bool = False) -> tuple[int, int, int]:
    """Return the rows, features and classes of a data set, without generating it."""
    check_name(name)
    if name in TOY_SETS:
        data = load(name, binary=binary)
        return *data.X.shape, data.n_classes
    n, d, k = _generated_sizes(name)
    return n, d, 2 if binary else k


def check_name(name: str) -> None:
    """Raise ValueError, naming what exists and what is nearest, unless `load` knows the name."""
    if name in TOY_SETS:
        return
    if name.startswith("classification"):
        _generated_sizes(name)
        return
    nearest = difflib.get_close_matches(name, [*TOY_SETS, "classification"], n=1)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    raise ValueError(f"no data set {name!r}{hint}; there are {', '.join(TOY_SETS)} and {GENERATED}")


def _standardise(raw: NDArray[Any]) -> NDArray[np.float64]:
    X = np.array(raw, dtype=np.float64)
    # Tested on the values: the standard deviation of equal values is often 1e-17, not 0.
    constant = (X[0] == X).all(axis=0)
    X -= X.mean(axis=0)
    scale = X.std(axis=0)
    X[:, constant] = 0.0
    scale[constant] = 1.0
    X /= scale
    return X


def _shipped(loader: str) -> Callable[[int], Arrays]:
    def read(seed: int) -> Arrays:  # noqa: ARG001 - every row of the table has one signature
        import sklearn.datasets

        X, y = getattr(sklearn.datasets, loader)(return_X_y=True)
        return X, y

    return read


def _moons(seed: int) -> Arrays:
    from sklearn.datasets import make_moons

    X, y = make_moons(n_samples=1000, noise=0.2, random_state=seed)
    return X, y


def _circles(seed: int) -> Arrays:
    from sklearn.datasets import make_circles

    X, y = make_circles(n_samples=1000, noise=0.1, factor=0.5, random_state=seed)
    return X, y


def _blobs(seed: int) -> Arrays:
    from sklearn.datasets import make_blobs

    X, y, *_ = make_blobs(n_samples=1000, n_features=8, centers=5, random_state=seed)
    return X, y


TOY_SETS: dict[str, Callable[[int], Arrays]] = {
    "iris": _shipped("load_iris"),
    "wine": _shipped("load_wine"),
    "breast_cancer": _shipped("load_breast_cancer"),
    "digits": _shipped("load_digits"),
    "moons": _moons,
    "circles": _circles,
    "blobs": _blobs,
}


def _generated_sizes(name: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"classification-([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", name)
    if match is None:
        raise ValueError(f"no data set {name!r}: a generated set is named {GENERATED}, three sizes")
    n, d, k = (int(size) for size in match.groups())
    if k < 2:
        raise ValueError(f"{name!r} has {k} class; a generated set needs at least 2")
    if n < 2 * k:
        raise ValueError(f"{name!r} has {n} rows for {k} classes; it needs at least {2 * k}")
    if d < _bits(k):
        raise ValueError(f"{name!r} has {d} features; {k} classes need at least {_bits(k)}")
    return n, d, k


def _bits(n_classes: int) -> int:
    """Features in which every class can have a hypercube corner of its own."""
    return (n_classes - 1).bit_length()


def _generate(name: str, seed: int) -> Arrays:
    from sklearn.datasets import make_classification

    n, d, k = _generated_sizes(name)
    n_informative = max(_bits(k), d // 2)
    # Without flipped labels every class keeps its rows, however few they are.
    X, y = make_classification(
        n_samples=n,
        n_features=d,
        n_informative=n_informative,
        n_redundant=(d - n_informative) // 2,
        n_classes=k,
        n_clusters_per_class=1,
        flip_y=0.0,
        random_state=seed,
    )
    return X, y
