"""What the kernels use of the compiler that is private to it, looked up by name."""

import ast
import importlib
import re
from operator import attrgetter
from pathlib import Path

import numba
import pytest
from numba.core import registry

from fastlogit.kernels import codegen

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
NAMES = re.findall(r"``([\w.]+)``", codegen.__doc__)
MODULES = [name for name in NAMES if name.split(".")[0] in ("numba", "llvmlite")]
ATTRIBUTES = sorted(set(NAMES) - set(MODULES) - {"ir"})


def look_up(name):
    """Return the object of a full name, of which a beginning is a module's."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        return attrgetter(".".join(parts[end:]))(found) if parts[end:] else found
    raise ImportError(name)


@pytest.fixture(scope="module")
def objects():
    """Return what the docstring calls by a word, each with the attributes of its kind."""
    target = registry.cpu_target
    code = target.target_context.codegen()
    return {
        "target": target,
        "context": target.target_context,
        "codegen": code,
        "library": code.create_library("private_names"),
        "option": target.options,
    }


@pytest.mark.parametrize("name", MODULES)
def test_a_name_is_there(name):
    look_up(name)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_is_there(name, objects):
    word, _, attribute = name.partition(".")
    assert attrgetter(attribute)(objects[word]) is not None


def test_an_absent_name_is_told():
    with pytest.raises(AttributeError, match="no_such_name"):
        look_up("numba.core.types.no_such_name")


def used_names():
    """Yield the full names of what is imported from the compiler, or taken of a LazyModule."""
    for path in Path(codegen.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(("numba.", "llvmlite")):
                for alias in node.names:
                    yield f"{node.module}.{alias.name}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                lazy = {"cgutils": "numba.core.cgutils", "_arrays": "numba.np.arrayobj"}
                if node.value.id in lazy:
                    yield f"{lazy[node.value.id]}.{node.attr}"


def test_all_that_is_used_is_listed():
    names = set(used_names()) - {"llvmlite.ir"}
    assert len(names) > 5
    for name in names:
        assert any(f"{known}.".startswith(f"{name}.") for known in MODULES), name
