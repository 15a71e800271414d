"""Which module may import which, top to bottom only, and the files from fit to the kernels."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastlogit"
# From bottom to top. A module may import its own part and the layers below; kernels and reference
# stand side by side, and neither they nor names know anything of the package but verbosity.
LAYERS = [
    {"verbosity"},
    {"kernels", "reference", "names"},
    {"models", "datasets"},
    {"sources"},
    {"training"},
    {"solvers", "functional"},
    {"estimators"},
    {"dask"},
    {"support"},
    {"patching"},
    {"benchmark", "__main__"},
    {"cli"},
]
# Compiler internals, and what may name them.
INTERNALS = ("llvmlite", "numba.core", "numba.np", "numba.cpython")
CODEGEN = "fastlogit.kernels.codegen"
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def imports_of(path):
    """Name the package's modules that a file imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            # What is imported may be a module of its own or a name of one.
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in full}
    return {name for name in names if name.split(".")[0] == "fastlogit"}


def part_of(module):
    """Name the file or folder directly under the package."""
    return module.split(".")[1] if "." in module else "fastlogit"


def test_every_module_has_a_layer():
    assert {part_of(module) for module in MODULES} <= set(RANK)
    assert len(MODULES) > 25


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    part = part_of(module)
    for imported in imports_of(MODULES[module]):
        other = part_of(imported)
        if other == "fastlogit":
            assert part in ("benchmark", "cli"), f"{module} imports the package's front"
        elif other != part:
            assert RANK[other] < RANK[part], f"{module} imports {imported}"


def test_names_and_datasets_need_no_kernels():
    """The command line checks names and lists data sets without the second that Numba takes."""
    assert imports_of(MODULES["fastlogit.names"]) == set()
    assert imports_of(MODULES["fastlogit.datasets"]) == {"fastlogit.names"}


def test_no_import_cycles():
    graph = {module: imports_of(path) for module, path in MODULES.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_training_and_solvers_know_no_model_by_name():
    from fastlogit.models import MODELS

    for module, path in MODULES.items():
        if part_of(module) in ("training", "solvers"):
            strings = {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            assert not strings & set(MODELS), module


def test_only_codegen_names_compiler_internals():
    for module, path in MODULES.items():
        if part_of(module) != "benchmark" and not module.startswith(CODEGEN):
            text = path.read_text()
            assert not [name for name in INTERNALS if name in text], module


def test_only_the_compiler_imports_numba():
    for module, path in MODULES.items():
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert ("numba" in names) == (module == f"{CODEGEN}.compiler"), module


@pytest.mark.parametrize("part", ["kernels", "reference", "models", "training"])
def test_the_core_knows_no_scikit_learn(part):
    for module, path in MODULES.items():
        if part_of(module) == part:
            assert "sklearn" not in path.read_text(), module


def test_a_rule_that_is_broken_is_found(tmp_path):
    for line in (
        "import fastlogit.training.trainer",
        "from fastlogit.training import trainer",
        "from fastlogit.training.trainer import train_epochs",
        "def late():\n    from fastlogit.training.trainer import Trainer",
    ):
        path = tmp_path / "source.py"
        path.write_text(line)
        assert imports_of(path) == {"fastlogit.training.trainer"}


class ReachedError(Exception):
    """The first call of the kernel that trains."""


# base, the estimator, minibatch and the trainer; a thread pool between trainer and kernel goes.
MOST_FILES = 4


@pytest.mark.parametrize("name", ["MLPClassifier", "LogisticRegression"])
def test_few_files_lie_between_fit_and_the_kernel(monkeypatch, toy_set, name):
    import fastlogit
    from fastlogit.training.trainer import Trainer

    files = []

    def run_batches(*_):
        frame = sys._getframe(1)
        while frame is not None:
            files.append(Path(frame.f_code.co_filename))
            frame = frame.f_back
        raise ReachedError

    create = Trainer.__init__

    def create_traced(self, *args, **arguments):
        create(self, *args, **arguments)
        self._run_batches = run_batches

    monkeypatch.setattr(Trainer, "__init__", create_traced)
    with pytest.raises(ReachedError):
        getattr(fastlogit, name)(solver="adam").fit(*toy_set("iris", "softmax"))
    ours = {path.relative_to(PACKAGE).as_posix() for path in files if PACKAGE in path.parents}
    assert {"estimators/base.py", "training/trainer.py"} <= ours
    assert len(ours) <= MOST_FILES, ours
