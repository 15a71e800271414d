"""What is known of a user's file before anything is trained on it."""

import importlib
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastlogit.benchmark.text import pluralize
from fastlogit.names import listed


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a text file; what is None is detected."""

    sep: str | None = None
    decimal: str | None = None
    na: tuple[str, ...] = ()
    header: bool | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class DataFile:
    """A user's file, checked and counted; hashable, so that a case can carry it."""

    path: Path
    target: str  # the column of the classes; in an NPZ file the array, in svmlight's format y
    drop: tuple[str, ...]  # columns left out because the user said so
    options: ReadOptions
    sha256: str
    size_bytes: int
    n_features: int  # after encoding
    classes: tuple[str, ...]  # as the file spells them, in the order of their indices
    class_rows: tuple[int, ...]
    findings: tuple[str, ...] = ()  # what was detected and done, a sentence each
    # What makes X and y of it: `loading` does it, the advice writes it as a program.
    arguments: tuple[tuple[str, Any], ...] = ()  # of pandas.read_csv
    as_numbers: tuple[str, ...] = ()  # columns of numbers that are read as text
    left_out: tuple[str, ...] = ()  # columns that are no features
    drop_single: bool = False  # whether rows of classes with one row are left out
    target_dtype: str = "str"  # to which the target's values are converted

    @property
    def name(self) -> str:
        """The file's name without its endings: what the data set is called."""
        name = self.path.name
        return Path(name[:-3] if name.lower().endswith(".gz") else name).stem

    @property
    def n_samples(self) -> int:
        """Rows that are used."""
        return sum(self.class_rows)

    @property
    def n_test(self) -> int:
        """Test rows: a fifth, but at least as many as there are classes."""
        return max(len(self.classes), -(-self.n_samples // 5))

    @property
    def n_train(self) -> int:
        """Rows that are trained on."""
        return self.n_samples - self.n_test


def notes(file: DataFile) -> list[str]:
    """Return what was read and detected, a line each."""
    counted = [f"{name} {rows:,}" for name, rows in zip(file.classes, file.class_rows, strict=True)]
    return [
        f"{file.path.name}: {file.n_samples:,} rows, {pluralize(file.n_features, 'feature')}, "
        f"{len(counted):,} classes ({listed(counted)})",
        *file.findings,
        f"{file.n_train:,} rows are trained on, {file.n_test:,} are test rows",
    ]


def facts(file: DataFile) -> dict[str, Any]:
    """Return what run.json keeps of a file: nothing of where it lies on the machine."""
    same = ("size_bytes", "sha256", "target", "n_samples", "n_train", "n_features")
    classes = dict(zip(file.classes, file.class_rows, strict=True))
    found = {"file": file.path.name, "notes": notes(file), "classes": classes}
    return found | {name: getattr(file, name) for name in same} | {"drop": list(file.drop)}


def require(package: str, what: str) -> Any:
    """Return a package, or raise ValueError that says how to install it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise ValueError(f'{what} needs {package}: pip install "fastlogit[data]"') from None


@dataclass(frozen=True)
class Request:
    """The arguments of `describe`, and the words of its command but for those."""

    path: Path
    target: str | None
    drop: tuple[str, ...]
    options: ReadOptions
    force: bool
    command: tuple[str, ...] = ("bench", "run")

    def refusal(self, text: str, *more: str) -> ValueError:
        """Return an error whose last line is the same command with more options."""
        words, options = ["fastlogit", *self.command, "--data", str(self.path)], self.options
        single = {"--target": self.target, "--sep": options.sep, "--decimal": options.decimal,
                  "--encoding": options.encoding}  # fmt: skip
        for option, value in single.items():
            words += [option, value] if value is not None and option not in more else []
        for option, values in (("--drop", self.drop), ("--na", options.na)):
            words += [word for value in values for word in (option, value)]
        words += ["--no-header"] * (options.header is False) + ["--force"] * self.force
        join = subprocess.list2cmdline if os.name == "nt" else shlex.join
        return ValueError(f"{text}:\n  {join([*words, *more])}")
