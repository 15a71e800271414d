"""Files that no crash leaves half written: one replaced whole, one that grows row by row.

A CSV file grows by some rows at a time, each time on the disk before it goes on.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["AppendedTable", "replace_file", "rows_of", "text_of"]


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, on the disk before it takes the place of an older one, or not at all.

    Raises
    ------
    OSError
        If it cannot be written; it names the path.
    """
    scratch = path.with_name(path.name + ".new")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


class AppendedTable:
    """A table that is called ``<name>.partial`` until it is finished.

    Parameters
    ----------
    path : Path
        Its final name. If there is such a file already, or its partial form, that is gone on with.
    columns : sequence of str
        The header.

    Raises
    ------
    OSError
        If the file cannot be opened or written, here and in every method.
    ValueError
        If there is a file already, and it has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self._columns = columns
        self._partial = path.with_name(path.name + ".partial")
        if path.exists() and not self._partial.exists():
            path.rename(self._partial)
        # No buffer: what was written is in the file, and an error belongs to the rows it met.
        self._stream = self._partial.open("a+b", buffering=0)
        try:
            self._begin()
        except BaseException:
            self._stream.close()
            raise

    def _begin(self) -> None:
        header = _lines([self._columns])
        lines = self._lines()
        if not lines:
            self._stream.truncate(0)
            self._write(header)
        elif lines[0] != header:
            raise ValueError(f"{self._partial} has other columns than this version writes")

    @property
    def present(self) -> Path:
        """The file by the name that it has now."""
        return self.path if self.path.exists() else self._partial

    def append(self, rows: Iterable[DataclassInstance]) -> None:
        """Write rows, all or none of them."""
        self._write(_lines(map(_plain, rows)))

    def rows(self) -> list[dict[str, str]]:
        """Read the rows, up to the first that is not whole."""
        return rows_of(self._lines(), self._columns)

    def replace(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Have these rows in place of all there are, or leave the file as it is."""
        content = text_of(rows, self._columns)
        self._stream.close()  # Windows replaces no open file
        try:
            replace_file(self._partial, content)
        finally:
            self._stream = self._partial.open("a+b", buffering=0)

    def finish(self) -> None:
        """Give the file its final name."""
        self._partial.rename(self.path)

    def close(self) -> None:
        """Close the file, by whichever name."""
        self._stream.close()

    def _lines(self) -> list[bytes]:
        self._stream.seek(0)
        return [line for line in self._stream.readall().splitlines(True) if line.endswith(b"\n")]

    def _write(self, data: bytes) -> None:
        before = self._stream.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(data):
                written += self._stream.write(data[written:])
            os.fsync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(before)
            raise OSError(error.errno, error.strerror, str(self._partial)) from error


def rows_of(lines: Sequence[bytes], columns: Sequence[str]) -> list[dict[str, str]]:
    """Give the rows of a table's lines, the header first, up to the first that is not whole."""
    found = []
    for line in lines[1:]:
        values = next(csv.reader([line.decode(errors="replace")]))
        if len(values) != len(columns):
            break
        found.append(dict(zip(columns, values, strict=True)))
    return found


def text_of(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> bytes:
    """Give rows as the text of a table, with its header."""
    return _lines([columns, *([row[name] for name in columns] for row in rows)])


def _plain(row: DataclassInstance) -> list[Any]:
    """Spell booleans the way run.json does; csv itself writes None as an empty field."""
    return [_spelled(value) for value in asdict(row).values()]


def _spelled(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    # A row is a line, or half a file could not be told from a whole one.
    return " ".join(value.splitlines()) if isinstance(value, str) else value


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
