"""What is known of a user's file before anything is trained on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Source", "digest", "facts", "notes", "test_rows"]

# A class with fewer rows has a single one to be tested on.
_SMALL_CLASS = 10
_MOST_NAMED = 8


@dataclass(frozen=True)
class Source:
    """A user's file, checked and counted; hashable, so that a case can carry it.

    Attributes
    ----------
    path : Path
        The file.
    target : str
        The column, or in an NPZ file the array, that names the classes; empty in a format that
        has one place for it.
    drop : tuple of str
        Columns left out because the user said so.
    sha256 : str
        Digest of the file's bytes.
    size_bytes : int
        Its size.
    n_features : int
        Columns of X, after encoding.
    classes : tuple of str
        The classes as the file spells them, in the order of their indices.
    class_rows : tuple of int
        Rows of each class.
    notes : tuple of str
        What was done to the columns, a sentence each.
    """

    path: Path
    target: str
    drop: tuple[str, ...]
    sha256: str
    size_bytes: int
    n_features: int
    classes: tuple[str, ...]
    class_rows: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its endings: what the data set is called."""
        name = self.path.name
        return Path(name[:-3] if name.lower().endswith(".gz") else name).stem

    @property
    def n_samples(self) -> int:
        """Rows of the file."""
        return sum(self.class_rows)

    @property
    def n_train(self) -> int:
        """Rows that are trained on; the others are held out for the accuracy."""
        return self.n_samples - sum(map(test_rows, self.class_rows))


def test_rows(n_rows: int) -> int:
    """Give how many of a class's rows are held out: a fifth, but one at least."""
    return max(1, n_rows // 5)


def digest(path: Path) -> str:
    """Give the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def facts(source: Source) -> dict[str, Any]:
    """Give what run.json keeps of a file: nothing of where it lies on the machine."""
    return {
        "file": source.path.name,
        "size_bytes": source.size_bytes,
        "sha256": source.sha256,
        "target": source.target,
        "drop": list(source.drop),
        "n_samples": source.n_samples,
        "n_train": source.n_train,
        "n_features": source.n_features,
        "classes": dict(zip(source.classes, source.class_rows, strict=True)),
        "notes": notes(source),
    }


def notes(source: Source) -> list[str]:
    """Say what the file holds and what was done to it, a line each."""
    counted = [
        f"{name} {rows:,}" for name, rows in zip(source.classes, source.class_rows, strict=True)
    ]
    features = "1 feature" if source.n_features == 1 else f"{source.n_features:,} features"
    n_test = source.n_samples - source.n_train
    lines = [
        f"{source.path.name}: {source.n_samples:,} rows, {features}, {len(counted):,} classes "
        f"({_listed(counted)})",
        *source.notes,
        f"{source.n_train:,} rows are trained on; {n_test:,}, a fifth of each class, are held out "
        "to test on",
    ]
    small = [
        name
        for name, rows in zip(source.classes, source.class_rows, strict=True)
        if rows < _SMALL_CLASS
    ]
    if small:
        lines.append(f"with a single row to test on: {_listed(small)}")
    return lines


def _listed(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
