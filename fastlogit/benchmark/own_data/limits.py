"""How large a user's data may be."""

from __future__ import annotations

from fastlogit.benchmark import machine

__all__ = ["check_fits"]

# Every contender keeps a copy of the rows in its own best form.
_SHARE = 4

_WITHOUT_A_SYSTEM_THAT_SAYS = 8 * 2**30


def check_fits(name: str, n_rows: int, n_features: int) -> None:
    """Refuse rows that would fill the memory once every number is written out.

    Raises
    ------
    ValueError
        If the rows in float64 take more than a quarter of the machine's memory.
    """
    limit = (machine.memory_bytes() or _WITHOUT_A_SYSTEM_THAT_SAYS) // _SHARE
    needed = n_rows * n_features * 8
    if needed > limit:
        raise ValueError(
            f"{name} has {n_rows:,} rows of {n_features:,} features: written out they take "
            f"{needed / 2**30:.1f} GiB, and {limit / 2**30:.1f} GiB, a quarter of the memory, is "
            "the limit; take fewer rows or features"
        )
