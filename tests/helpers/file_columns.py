"""Columns of the files that tests write, by the number of the row."""


def spread(i):
    """Return numbers with a decimal mark."""
    return i * i % 17 + 0.5


def other(i):
    """Return whole numbers."""
    return i * 7 % 13


def label(i):
    """Return two classes, alternating."""
    return "ab"[i % 2]
