"""What is known of a user's file before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Source", "test_rows"]


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
        return self.path.name.split(".")[0] or self.path.name

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
