"""What an implementation has to offer to be compared."""

import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from typing import ClassVar

from fastlogit.benchmark.cases import ESTIMATORS
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.benchmark.schema import Comparison
from fastlogit.kernels.codegen import cache


class UnsupportedError(Exception):
    """An implementation has no way to do a case; nothing is wrong with either."""


class Implementation(ABC):
    """One implementation, set up for one problem.

    In each round the runner makes a new one for a case, calls `prepare` and `first_call` once, then
    `run` for every repeat, and reads `result` after each. Only `run` is timed, so that what it does
    is exactly the task.
    """

    name: ClassVar[str]  # on the command line and in the files; one for each comparison
    comparison: ClassVar[Comparison]  # the question that it answers
    distribution: ClassVar[str]  # whose version is recorded
    module: ClassVar[str]  # what must be importable
    install: ClassVar[str] = 'pip install "fastlogit[libraries]"'
    by_default: ClassVar[bool] = False  # takes part where no implementation is asked for by name
    rank: ClassVar[int] = 100  # its place in lists and tables, lower ones first
    by_epoch: ClassVar[bool] = True  # an iteration is a pass over the rows: it has a rate in rows
    solver: ClassVar[str] = ""  # its own, where the case's solver and batches do not count
    # What it can do of a case's axes; anything, where one is not named.
    covers: ClassVar[dict[str, tuple[str, ...]]] = {
        "model": ("logistic", "softmax", "mlp-logistic", "mlp-softmax"),
        "activation": ("logistic",),
        "solver": ("sgd", "adam"),
    }
    problem: Problem

    @classmethod
    def missing(cls) -> str | None:
        """Return why this implementation cannot run here and what helps, or None if it can."""
        if importlib.util.find_spec(cls.module) is not None:
            return None
        return f"the module {cls.module} is not installed; install it with: {cls.install}"

    @classmethod
    def version(cls) -> str:
        """Return the version of the library that does the work."""
        return importlib.metadata.version(cls.distribution)

    def prepare(self, problem: Problem) -> None:
        """Bring the arrays into this implementation's best form, or raise UnsupportedError."""
        for axis, names in self.covers.items():
            if (name := getattr(problem.case, axis)) not in names:
                raise UnsupportedError(f"{self.name} has no {axis} {name}")
        self.problem = problem

    def first_call(self) -> None:
        """Compile whatever `run` needs; by default by running it."""
        self.run()

    @abstractmethod
    def run(self) -> None:
        """Do the task from its start to its end."""

    @abstractmethod
    def result(self) -> Outcome:
        """Return where the last run has ended, as NumPy arrays."""

    def variant(self) -> str:
        """Return which of several ways it takes in this case; kept beside the version."""
        return ""

    def compilations(self) -> int:
        """Count what this process has compiled, kernels by default; must not grow while timing."""
        return cache.compilations()


class SameSteps(Implementation):
    """One that follows the given parameters and row order, and can stop on the way.

    For a loss curve the runner calls `rewind`, then `advance` from point to point, all timed.
    """

    comparison = "same-steps"

    @abstractmethod
    def rewind(self) -> None:
        """Go back to the initial parameters."""

    @abstractmethod
    def advance(self, epochs: int) -> None:
        """Train through so many more epochs, from where the last call or `rewind` left it."""

    def run(self) -> None:
        """Train from the initial parameters through all epochs."""
        self.rewind()
        self.advance(self.problem.case.epochs)


class AnyAlgorithm(Implementation):
    """One that minimises the same objective by its own algorithm.

    For a loss curve the runner fits anew for every point: not all of them can be stopped and go on,
    and so each time is that of a whole fit, as a user waits for it.
    """

    comparison = "any-algorithm"

    @abstractmethod
    def fit(self, iterations: int) -> None:
        """Fit from the start for at most so many epochs or iterations."""

    def run(self) -> None:
        """Fit for at most the case's epochs."""
        self.fit(self.problem.case.epochs)


class SameEstimator(Implementation):
    """One of two classes with the same name and arguments, in the place of each other."""

    comparison = "same-estimator"
    covers: ClassVar[dict[str, tuple[str, ...]]] = {"model": tuple(ESTIMATORS)}
