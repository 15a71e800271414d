"""Stored runs to report on."""

import dataclasses

import pytest
from synthetic_run import write_run

from fastlogit.benchmark.report.findings import Findings
from fastlogit.benchmark.runs import load_run


@pytest.fixture
def stored(tmp_path):
    """Write a made-up run and load it."""
    return lambda **options: load_run(str(write_run(tmp_path, **options)))


@pytest.fixture
def findings(stored):
    """Give what a run shows, one without curves unless asked for."""
    return lambda **options: Findings(stored(**{"curves": False} | options))


@pytest.fixture
def timed():
    """Give each contender the same time in every cell, or one by (impl, dataset)."""

    def change_to(times):
        def change(timing):
            key = (timing.impl, timing.dataset)
            return dataclasses.replace(timing, time_s=times.get(key, times.get(timing.impl)))

        return change

    return change_to
