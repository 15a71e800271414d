"""Which module may import which: top to bottom only, as parsed from the sources."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastlogit"
# From bottom to top. A module may import its own layer and those below; kernels and reference stand
# side by side, and neither they nor datasets know anything of the package outside themselves.
LAYERS = [
    {"kernels", "reference", "datasets"},
    {"models", "threads"},
    {"orders"},
    {"functional", "trainer", "objective", "validation"},
    {"estimators"},
    {"benchmark"},
    {"cli"},
]
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
            assert RANK[other] <= RANK[part], f"{module} imports {imported}"
            assert RANK[part] > 0, f"{module} imports {imported} from outside {part}"


def test_no_import_cycles():
    graph = {module: imports_of(path) for module, path in MODULES.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_trainer_and_objective_know_no_model_by_name():
    from fastlogit.models import MODELS

    for part in ("trainer", "objective", "validation"):
        strings = {
            node.value
            for node in ast.walk(ast.parse(MODULES[f"fastlogit.{part}"].read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not strings & set(MODELS)


@pytest.mark.parametrize("part", ["kernels", "reference", "models", "trainer", "objective"])
def test_the_core_knows_no_scikit_learn(part):
    for module, path in MODULES.items():
        if part_of(module) == part:
            assert "sklearn" not in path.read_text(), module


def test_a_rule_that_is_broken_is_found(tmp_path):
    for line in (
        "import fastlogit.trainer",
        "from fastlogit import trainer",
        "from fastlogit.trainer import train_epochs",
        "def late():\n    from fastlogit.trainer import Trainer",
    ):
        path = tmp_path / "source.py"
        path.write_text(line)
        assert imports_of(path) == {"fastlogit.trainer"}
