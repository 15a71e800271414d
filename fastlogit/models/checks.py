"""Checks of arguments: an error names the argument, its value and what is allowed."""

import math
from collections.abc import Sequence
from functools import cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from fastlogit.models import Floats, Indices, Model
from fastlogit.models.arrays import LayerParams, NetworkParams

MAX_CLASSES = 1 << 20  # of a model whose parameters are drawn; given ones may be for more
MAX_COLUMNS = 1 << 32  # of sparse rows, whose column indices the kernels hold in 32 bits
# Elements up to which a product of BLAS is one thread's, and a call's overhead most of its time.
FEW = 1 << 12
SUMMED = 1 << 18
AS_INDICES = "np.unique(y, return_inverse=True)[1] makes them of labels"
FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def integer(name: str, value: Any, low: int, high: int = 2**31 - 1) -> int:
    """Return value as an int of the interval from low to high."""
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise TypeError(f"{name}={value!r} must be an integer of at least {low}")
    number = int(value)
    if not low <= number <= high:
        bound = f"at least {low}" if number < low else f"at most {high}"
        raise ValueError(f"{name}={value!r} must be {bound}")
    return number


def real(name: str, value: Any, interval: str) -> float:
    """Return value as a finite float of the interval, such as "[0, 1)"."""
    low, high = _bounds(interval)
    is_number = type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:
        number = math.inf
    above = number >= low if interval[0] == "[" else number > low
    below = number <= high if interval[-1] == "]" else number < high
    if above and below:
        return number
    error, what = (ValueError, "finite number") if is_number else (TypeError, "number")
    raise error(f"{name}={value!r} must be a {what} in {interval}")


@cache
def _bounds(interval: str) -> tuple[float, float]:
    low, high = interval[1:-1].split(", ")
    return float(low), float(high)


def fits(name: str, value: float, dtype: Any) -> None:
    """Refuse a number that becomes infinite, or 0 without being it, in that dtype."""
    least, largest = limits(np.dtype(dtype))
    if value != 0 and not least <= value <= largest:
        allowed = f"0 or from {least:g} to {largest:g}"
        raise ValueError(f"{name}={value!r} must be {allowed} for X of dtype {np.dtype(dtype)}")


@cache
def limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the smallest positive number of a dtype, and the largest."""
    known = np.finfo(dtype)
    return float(known.smallest_subnormal), float(known.max)


def boolean(name: str, value: Any) -> bool:
    """Return value as a bool."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r} must be True or False")
    return bool(value)


def array_of(
    name: str, value: Any, shape: tuple[int, ...] | None = None, kinds: str = "fiub",
    what: str = "real numbers", *, may_be_sparse: bool = False,
) -> Any:  # fmt: skip
    """Return value as an array of those kinds of dtype, and of that shape if one is given."""
    try:
        array = value if may_be_sparse and issparse(value) else np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array: {error}") from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} of dtype {array.dtype} must hold {what}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} of shape {array.shape} must have shape {shape}")
    return array


def cast(array: NDArray[Any], dtype: Any) -> Floats:
    """Return the array C-contiguous and of that dtype; what overflows becomes infinite."""
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype)


def matrix(name: str, value: Any) -> Any:
    """Return value as a C-contiguous (n, D) array or csr_array; its memory may be the input's."""
    if plain_matrix(value):
        return value
    array = array_of(name, value, may_be_sparse=True)
    if array.ndim != 2 or 0 in array.shape:
        allowed = "two dimensions, (rows, features), of at least 1 each"
        raise ValueError(f"{name} of shape {array.shape} must have {allowed}")
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    sparse = issparse(array)
    array = compressed(name, array, dtype) if sparse else cast(array, dtype)
    if not finite(np.asarray(array.data) if sparse else array):
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return array


def plain_matrix(value: Any) -> bool:
    """Return whether value needs no conversion to be a matrix."""
    return is_plain_array(value) and finite(value)


def is_plain_array(value: Any) -> bool:
    """Return whether value needs no conversion to be a matrix if its elements are finite."""
    if type(value) is not np.ndarray or value.ndim != 2 or value.size == 0:
        return False
    return bool(value.dtype in FLOATS and value.flags.c_contiguous)


def compressed(name: str, value: Any, dtype: Any) -> csr_array:
    """Return a sparse matrix as a csr_array of that dtype after a check of its indices."""
    # SciPy does not check them, and compiled code relies on them. Products need no sorted ones.
    given = value.tocsr()
    (n_rows, n_columns), indptr = given.shape, given.indptr
    invalid, stored = f"{name} is not a valid CSR matrix", min(given.indices.size, given.data.size)
    if n_columns > MAX_COLUMNS:
        raise ValueError(f"{name} has {n_columns} columns, may have {MAX_COLUMNS} if it is sparse")
    if indptr.shape != (n_rows + 1,) or indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise ValueError(f"{invalid}: indptr must rise from 0, row by row")
    if indptr[-1] > stored:
        raise ValueError(f"{invalid}: indptr ends beyond the {stored} elements")
    indices, data = given.indices[: indptr[-1]], given.data[: indptr[-1]]
    # As unsigned numbers those below 0 are the largest.
    if indices.size and int(indices.view(f"u{indices.itemsize}").max()) >= n_columns:
        held = f"{indices.min()} to {indices.max()}, must have them from 0 to {n_columns - 1}"
        raise ValueError(f"{invalid}: it has column indices from {held}")
    arrays = cast(data, dtype), np.ascontiguousarray(indices), np.ascontiguousarray(indptr)
    return csr_array(arrays, shape=given.shape)


def finite(array: Floats) -> bool:
    """Return whether all elements are finite, of many by their sum unless that overflows."""
    # The sum of squares of few elements takes BLAS a fifth of the time, np.isfinite half of it as
    # long as what it writes stays in a cache.
    if array.size <= FEW and math.isfinite(np.vdot(array, array)):
        return True
    if array.size <= SUMMED:
        return bool(np.isfinite(array).all())
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def finite_matrix(X: Any) -> bool:
    """Return whether all elements of an array or sparse matrix are finite."""
    return finite(X if type(X) is np.ndarray or not issparse(X) else X.data)


def labels(value: Any, rows: int, n_classes: int | None) -> Indices:
    """Return y as (rows,) class indices below n_classes, from 0 on if that is None."""
    given = value
    if type(value) is not np.ndarray or value.dtype != np.intp or value.shape != (rows,):
        given = array_of("y", value, (rows,), what=f"class indices; {AS_INDICES}")
    if given.dtype == np.intp:
        indices = np.ascontiguousarray(given)
    else:
        with np.errstate(invalid="ignore"):
            indices = np.ascontiguousarray(given, np.intp)
        wrong = indices != given
        if wrong.any():
            raise ValueError(f"y must hold class indices, got {given[wrong][0]!r}; {AS_INDICES}")
    # No index has a bit that none of them has: one pass tells for two classes, or four.
    if n_classes is not None and 0 <= np.bitwise_or.reduce(indices) < n_classes:
        return indices
    first, last = int(indices.min()), int(indices.max())
    if n_classes is None and first > 0:
        raise ValueError(f"y holds {first} to {last}, must hold class indices from 0; {AS_INDICES}")
    most = MAX_CLASSES if n_classes is None else n_classes
    if first < 0 or last >= most:
        allowed = f"class indices from 0 to {most - 1}"
        raise ValueError(f"y holds {min(first, 0) or last}, must hold {allowed}; {AS_INDICES}")
    return indices


def class_indices(classes: Any, y: Any, name: str = "y") -> Indices:
    """Return labels as indices into the sorted classes; raise ValueError for any other label."""
    y = np.asarray(y)
    kinds = y.dtype.kind, classes.dtype.kind
    if kinds == ("i", "i") and int(classes[-1]) - int(classes[0]) == len(classes) - 1:
        # Of consecutive numbers, which takes a tenth of the time to search and compare.
        within = y.size == 0 or (y.min() >= classes[0] and y.max() <= classes[-1])
        if within:
            return np.asarray(y - classes[0] if classes[0] else y, np.intp)
    try:
        indices = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    except TypeError as error:  # None, or labels of several types
        text = f"{name} must hold labels of classes_={classes}"
        raise ValueError(f"{text}, got some that do not compare with them: {error}") from None
    unknown = classes[indices] != y
    if "O" not in kinds and (kinds[0] in "US") != (kinds[1] in "US"):  # NumPy takes 1 for "1"
        unknown = np.ones(len(y), bool)
    if unknown.any():
        text = f"{name} holds the label {y[unknown].tolist()[0]!r}"
        raise ValueError(f"{text}, which is not one of classes_={classes}")
    return np.asarray(indices, np.intp)


def row_weights(value: Any, rows: int, dtype: Any) -> Floats:
    """Return sample_weight as (rows,) of that dtype, empty for None."""
    if value is None:
        return np.empty(0, dtype)
    weight = cast(array_of("sample_weight", value, (rows,)), dtype)
    if not finite(weight) or weight.min() < 0:
        held = f"{weight.min()!r} to {weight.max()!r}"
        raise ValueError(f"sample_weight must hold finite numbers of at least 0, got {held}")
    total_weight("sample_weight", weight)
    return weight


def total_weight(name: str, weight: Floats) -> float:
    """Return the sum of the rows' weights, which the loss is divided by, if their dtype can be."""
    with np.errstate(over="ignore"):
        total = float(np.add.reduce(weight, dtype=np.float64))
    if not weight.any():
        raise ValueError(f"{name} sums to 0; one row at least must have a positive weight")
    limits = np.finfo(weight.dtype)
    if not float(limits.tiny) <= total <= float(limits.max):
        raise ValueError(f"{name} sums to {total:g}, must sum to a normal finite {weight.dtype}")
    return total


def row_order(value: Any, epochs: int, rows: int) -> Indices:
    """Return order as (epochs, n) indices of rows."""
    order = array_of("order", value, (epochs, rows), "iu", "integers")
    # Read as without a sign, a negative number is large: one pass, not two for least and largest.
    if order.size and int(order.view(order.dtype.str.replace("i", "u")).max()) >= rows:
        held = f"{order.min()} to {order.max()}"
        raise ValueError(f"order holds {held}, must hold indices from 0 to {rows - 1}")
    return np.ascontiguousarray(order, np.intp)


def params_like(model: Model, params: Any, n_features: int, dtype: Any) -> tuple[Floats, ...]:
    """Return a model's parameters as arrays of that dtype after a check of their shapes."""
    names = (NetworkParams if model.has_hidden else LayerParams)._fields
    is_sequence = isinstance(params, tuple) or isinstance(params, Sequence)  # noqa: SIM101 - ABC
    if not is_sequence or len(params) != len(names):
        allowed = f"({', '.join(names)}) for model {model.name!r}"
        found = len(params) if is_sequence else type(params).__name__
        raise ValueError(f"params must be {allowed}, got {found}")
    arrays: list[Floats] = []
    for name, value in zip(names, params, strict=True):
        array = value
        # This test spares one row's prediction a tenth of its time.
        if type(value) is not np.ndarray or value.dtype != dtype or not value.flags.c_contiguous:
            numbers = array_of(f"params: {name}", value)
            array = cast(numbers, dtype).reshape(numbers.shape)  # a scalar is not made a vector
        arrays.append(array)
    n_hidden = max(arrays[1].size, 1) if model.has_hidden else None
    n_outputs = 1 if model.binary else max(arrays[-1].size, 2)
    shapes = model.shapes(n_features, n_hidden, n_outputs)
    for name, array, shape in zip(names, arrays, shapes, strict=True):
        if array.shape != shape:
            raise ValueError(f"params: {name} of shape {array.shape} must have shape {shape}")
        if not finite(array):
            raise ValueError(f"params: {name} must be finite, got NaN or infinity")
    return tuple(arrays)


def random_generator(random_state: Any) -> np.random.Generator | np.random.RandomState | None:
    """Return a source of random numbers: one given or None as it is, or one of an integer seed."""
    if random_state is None or isinstance(
        random_state, np.random.Generator | np.random.RandomState
    ):
        return random_state
    return np.random.default_rng(integer("random_state", random_state, 0, 2**64 - 1))
