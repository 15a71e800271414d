"""Contenders that misbehave on purpose, and the smallest case worth measuring."""

import sys
from pathlib import Path

import pytest

from fastlogit.benchmark.cases import Grid

# A spawned process gets this path, and so can import what is pickled from there.
sys.path.insert(0, str(Path(__file__).parent))

from fakes import FAKES  # found by the line above


@pytest.fixture
def fakes():
    return FAKES


@pytest.fixture
def small_case():
    return Grid(models=("softmax",), datasets=("iris",), epochs=2).cases()[0]


@pytest.fixture
def read_all():
    """Everything that a run wrote, as one string."""

    def read(directory):
        return "\n".join(path.read_text() for path in directory.iterdir())

    return read
