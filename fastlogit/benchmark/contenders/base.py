"""What an implementation has to offer to be compared."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from fastlogit.benchmark.problem import Outcome, Problem

__all__ = ["Contender", "Missing", "UnsupportedError"]


@dataclass(frozen=True)
class Missing:
    """Why a contender cannot run here, and what would change that."""

    reason: str
    install: str

    def __str__(self) -> str:
        """Say both in one line."""
        return f"{self.reason}; install it with: {self.install}"


class UnsupportedError(Exception):
    """A contender has no way to do a case; nothing is wrong with either."""


class Contender(ABC):
    """One implementation, set up for one problem.

    The runner calls `prepare` and `first_run` once, then `run` for every repeat, and reads
    `result` after each. Only `run` is timed, so what it does is exactly the training.

    Attributes
    ----------
    name : str
        What it is called on the command line and in the files.
    division : {"closed", "open"}
        ``"closed"`` follows the given parameters and row order and must reach the reference's end
        point; ``"open"`` solves the same objective by another route.
    distribution, module : str
        The distribution whose version is recorded, and the module that must be importable.
    install : str
        The command that installs it.
    by_default : bool
        Whether it takes part where nobody asks for it by name.
    """

    name: ClassVar[str]
    division: ClassVar[Literal["closed", "open"]] = "closed"
    distribution: ClassVar[str]
    module: ClassVar[str]
    install: ClassVar[str]
    by_default: ClassVar[bool] = False

    @classmethod
    def missing(cls) -> Missing | None:
        """Say why this contender cannot run here, or None if it can."""
        if importlib.util.find_spec(cls.module) is not None:
            return None
        return Missing(f"the module {cls.module} is not installed", cls.install)

    @classmethod
    def version(cls) -> str:
        """Give the version of the library that does the work."""
        return importlib.metadata.version(cls.distribution)

    @abstractmethod
    def prepare(self, problem: Problem) -> None:
        """Bring the problem's arrays into this implementation's own best form.

        Raises
        ------
        UnsupportedError
            If this implementation cannot do the case.
        """

    def first_run(self) -> None:
        """Compile whatever `run` needs; by default by running it."""
        self.run()

    @abstractmethod
    def run(self) -> None:
        """Train from the initial parameters through all epochs."""

    @abstractmethod
    def result(self) -> Outcome:
        """Give what the last run ended with, as NumPy arrays."""

    def form(self) -> str:
        """Say which of several ways it takes in this case; kept beside the version."""
        return ""

    def compilations(self) -> int:
        """Count what has been compiled in this process so far; must not grow while timing."""
        return 0
