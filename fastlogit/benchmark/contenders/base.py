"""What an implementation has to offer to be compared."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from fastlogit.benchmark.problem import Outcome, Problem

__all__ = ["ClosedContender", "Contender", "Missing", "OpenContender", "UnsupportedError"]


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

    On each visit to a case the runner makes a new one, calls `prepare` and `first_run` once, then
    `run` for every repeat, and reads `result` after each. Only `run` is timed, so what it does is
    exactly the training. The curve of loss against time is the business of the two divisions,
    `ClosedContender` and `OpenContender`.

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
    place : int
        Where it stands among the others in lists and tables, lower ones first.
    covers : dict of str to tuple of str
        What it can do of a case's model, solver and activation; anything, where one is not named.
    problem : Problem
        What it was prepared for.
    """

    name: ClassVar[str]
    division: ClassVar[Literal["closed", "open"]]
    distribution: ClassVar[str]
    module: ClassVar[str]
    install: ClassVar[str]
    by_default: ClassVar[bool] = False
    place: ClassVar[int] = 100
    covers: ClassVar[dict[str, tuple[str, ...]]] = {
        "model": ("logistic", "softmax", "mlp-logistic", "mlp-softmax"),
        "activation": ("logistic",),
    }
    problem: Problem

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

    def prepare(self, problem: Problem) -> None:
        """Take the problem on and bring its arrays into this implementation's own best form.

        Raises
        ------
        UnsupportedError
            If this implementation cannot do the case.
        """
        for axis, names in self.covers.items():
            if (name := getattr(problem.case, axis)) not in names:
                raise UnsupportedError(f"{self.name} has no {axis} {name}")
        self.problem = problem

    def first_run(self) -> None:
        """Compile whatever `run` needs; by default by running it."""
        self.run()

    @abstractmethod
    def run(self) -> None:
        """Train from the start to the end."""

    @abstractmethod
    def result(self) -> Outcome:
        """Give where the training is now, as NumPy arrays."""

    def form(self) -> str:
        """Say which of several ways it takes in this case; kept beside the version."""
        return ""

    def compilations(self) -> int:
        """Count what has been compiled in this process so far; must not grow while timing."""
        return 0


class ClosedContender(Contender):
    """One that follows the given parameters and row order, and can stop on the way.

    For a curve the runner calls `rewind`, then `advance` from point to point, all of it timed.
    """

    division = "closed"
    covers: ClassVar[dict[str, tuple[str, ...]]] = {**Contender.covers, "solver": ("sgd", "adam")}

    @abstractmethod
    def rewind(self) -> None:
        """Go back to the initial parameters."""

    @abstractmethod
    def advance(self, epochs: int) -> None:
        """Train on through so many more epochs, from where the last call or `rewind` left it."""

    def run(self) -> None:
        """Train from the initial parameters through all epochs."""
        self.rewind()
        self.advance(self.problem.case.epochs)


class OpenContender(Contender):
    """One that solves the same objective by its own route.

    For a curve the runner fits anew for every point: not all of them can be stopped and go on, and
    so each time is that of a whole fit, as a user waits for it.

    Attributes
    ----------
    by_epoch : bool
        Whether an iteration is one pass over the rows, so that a rate in rows says something.
    """

    division = "open"
    by_epoch: ClassVar[bool] = True

    @abstractmethod
    def fit(self, iterations: int) -> None:
        """Fit from the start for at most so many epochs or iterations."""

    def run(self) -> None:
        """Fit for at most the case's epochs."""
        self.fit(self.problem.case.epochs)
