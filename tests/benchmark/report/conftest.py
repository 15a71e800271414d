"""Stored runs to report on."""

import dataclasses
import functools

import pytest
from synthetic_run import write_run

from fastlogit.benchmark.storage import read_run


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Write a made-up run and read it."""
    return lambda **options: read_run(write_run(tmp_path_factory.mktemp("runs"), **options))


@pytest.fixture(scope="module")
def timed():
    """Set the time of implementations, or of (implementation, data set or task)."""

    def change_to(times):
        def change(timing):
            parts = (timing.implementation, *timing.case_id.split("/"))
            own = {key: value for key, value in times.items() if isinstance(key, tuple)}
            for (name, part), seconds in own.items():
                if name == parts[0] and part in parts[1:]:
                    return dataclasses.replace(timing, time_s=seconds)
            return dataclasses.replace(timing, time_s=times.get(parts[0], timing.time_s))

        return change

    return change_to


@pytest.fixture(scope="session", autouse=True)
def one_bundle():
    """Bundle the script of all pages once, which takes seconds."""
    vl_convert = pytest.importorskip("vl_convert", reason="vl-convert is not installed")
    with pytest.MonkeyPatch.context() as patch:
        bundle = functools.cache(vl_convert.javascript_bundle)
        patch.setattr(vl_convert, "javascript_bundle", bundle)
        yield
