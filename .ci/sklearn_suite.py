#!/usr/bin/env python
"""Runs scikit-learn's own tests of the estimators, and of what is built on them, on our classes.

Each test module runs twice, in processes of their own. Those of the estimators run with our classes
under scikit-learn's names, and with scikit-learn's own under the same conditions, that is with our
arguments and defaults; those of pipelines, searches and ensembles run with ``patch_sklearn`` and
without. A test that passes with theirs and does not with ours fails the run.

    python .ci/sklearn_suite.py [arguments for pytest, such as -k sag]
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sklearn

# Where scikit-learn's code and tests look each class up: its public module, and its own.
HOMES = {
    "LogisticRegression": ("sklearn.linear_model", "sklearn.linear_model._logistic"),
    "LogisticRegressionCV": ("sklearn.linear_model", "sklearn.linear_model._logistic"),
    "MLPClassifier": ("sklearn.neural_network", "sklearn.neural_network._multilayer_perceptron"),
}
# The two sides of each comparison, and the test modules.
COMPARISONS = {
    ("theirs", "ours"): (
        "sklearn.linear_model.tests.test_logistic", "sklearn.neural_network.tests.test_mlp",
    ),
    ("unpatched", "patched"): (
        "sklearn.tests.test_pipeline", "sklearn.model_selection.tests.test_search",
        "sklearn.tests.test_calibration", "sklearn.ensemble.tests.test_voting",
        "sklearn.ensemble.tests.test_stacking",
    ),
}  # fmt: skip
SITE_PACKAGES = Path(sklearn.__file__).parents[1]
# Set for the two processes: whose classes they run, and where they leave the tests' outcomes.
WHOSE, OUTCOMES = "FASTLOGIT_SUITE_WHOSE", "FASTLOGIT_SUITE_OUTCOMES"


def with_our_arguments(theirs: type, ours: type) -> type:
    """Return scikit-learn's class with the arguments and defaults of ours, the added ones unread.

    What then fails does so for the arguments' sake, not for what our fits do: a test may hand all
    of ``get_params()`` to a private function, or hold a relu network to a score.
    """
    signature = inspect.signature(ours.__init__)  # type: ignore[misc]
    known = inspect.signature(theirs).parameters

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        values = dict(list(given.arguments.items())[1:])
        theirs.__init__(self, **{name: values[name] for name in known})  # type: ignore[misc]
        vars(self).update({name: value for name, value in values.items() if name not in known})

    init.__signature__ = signature  # type: ignore[attr-defined]
    return type(theirs.__name__, (theirs,), {"__init__": init, "__module__": __name__})


def substitute(whose: str) -> dict[str, type]:
    """Put the classes under scikit-learn's names; they are read when a test module is imported."""
    import fastlogit

    if whose == "patched":
        fastlogit.patch_sklearn()
    if whose.endswith("patched"):
        return {name: getattr(import_module(HOMES[name][0]), name) for name in HOMES}
    classes = {}
    for name, homes in HOMES.items():
        modules = [import_module(home) for home in homes]
        ours = getattr(fastlogit, name)
        chosen = ours if whose == "ours" else with_our_arguments(getattr(modules[0], name), ours)
        for module in modules:
            setattr(module, name, chosen)
        classes[name] = globals()[name] = chosen  # a module's attribute can be pickled
    return classes


class Recorder:
    """pytest's part: checks that the classes are in place, keeps every test's outcome."""

    def __init__(self, classes: dict[str, type], path: Path) -> None:
        self.classes, self.path = classes, path
        self.outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        """Refuse test modules that were imported with other classes."""
        for module in {item.module for item in items}:
            named = [name for name in self.classes if isinstance(getattr(module, name, None), type)]
            if any(getattr(module, name) is not self.classes[name] for name in named):
                raise pytest.UsageError(f"{module.__name__} tests other classes than {named}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what came of a test."""
        # A setup that passed says nothing yet; a teardown that failed has the last word.
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Hand the outcomes over."""
        self.path.write_text(json.dumps(self.outcomes))


def pytest_configure(config: pytest.Config) -> None:
    """Begin, as the plugin of one of the two processes."""
    recorder = Recorder(substitute(os.environ[WHOSE]), Path(os.environ[OUTCOMES]))
    config.pluginmanager.register(recorder)


def run(
    whose: str, modules: Sequence[str], folder: Path, arguments: list[str]
) -> tuple[dict[str, str], str]:
    """Return the tests' outcomes with the classes of one side, and what pytest printed."""
    outcomes, settings = folder / f"{whose}.json", folder / "pytest.ini"
    settings.write_text("[pytest]\n")  # not this project's, which makes errors of warnings
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [
        sys.executable, "-m", "pytest", "-c", str(settings), f"--rootdir={SITE_PACKAGES}", "-q",
        "--tb=short", "--disable-warnings", "-p", "no:randomly", "-p", "no:cacheprovider",
        "-p", Path(__file__).stem, *arguments, "--pyargs", *modules,
    ]  # fmt: skip
    environment = {WHOSE: whose, OUTCOMES: str(outcomes), "PYTHONPATH": os.pathsep.join(paths)}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # two spin where something else has a core
    done = subprocess.run(  # noqa: S603
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    found = json.loads(outcomes.read_text()) if outcomes.exists() else {}
    if not found:
        raise SystemExit(f"no test ran with {whose}:\n{done.stdout}\n{done.stderr}")
    return found, done.stdout


def compare(sides: tuple[str, str], modules: Sequence[str], arguments: list[str]) -> bool:
    """Compare the two sides; return whether ours do worse."""
    with tempfile.TemporaryDirectory() as folder:
        theirs, _ = run(sides[0], modules, Path(folder), arguments)
        ours, printed = run(sides[1], modules, Path(folder), arguments)
    for whose, outcomes in zip(sides, (theirs, ours), strict=True):
        counts = Counter(outcomes.values())
        print(f"{whose}:", ", ".join(f"{counts[o]} {o}" for o in ("passed", "skipped", "failed")))
    failed = {test for test, outcome in ours.items() if outcome == "failed"}
    for test in sorted(failed - {test for test in failed if theirs.get(test) == "passed"}):
        print("fails with both:", test)
    worse = [test for test, o in theirs.items() if o == "passed" and ours.get(test) != "passed"]
    if worse:
        print(printed, "pass with scikit-learn's class and not with ours:", *worse, sep="\n")
    return bool(worse)


def main(arguments: list[str]) -> int:
    """Return 1 where ours do worse in a comparison."""
    worse = [compare(sides, modules, arguments) for sides, modules in COMPARISONS.items()]
    return int(any(worse))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
