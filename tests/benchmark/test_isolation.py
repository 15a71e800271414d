import fakes
import pytest

from fastlogit.benchmark.isolation import call_for_case
from fastlogit.benchmark.worker import Worker


@pytest.fixture
def names(small_case):
    def work(at, *kinds, timeout=None, **options):
        with Worker() as worker:
            return call_for_case(worker, at, small_case, kinds, timeout=timeout, **options)

    return work


def test_without_trouble_the_work_is_done_once(names):
    result, lost = names(fakes.names_of, fakes.Formed, fakes.Open, prefix="a ")
    assert (result, lost) == (["a formed", "a open"], {})


def test_it_is_done_again_without_whom_it_was_lost_to(names):
    result, lost = names(fakes.dies_at_some, fakes.Formed, fakes.Leaves, fakes.Open, fakes.Crashes)
    assert result == ["formed", "open"]
    assert lost == {
        "leaves": "the measuring process ended with exit code 7",
        "crashes": "ValueError: crashes",
    }


def test_who_is_at_work_when_time_is_up_has_timed_out(names):
    result, lost = names(fakes.hangs_at_some, fakes.Formed, fakes.Hangs, timeout=2)
    assert result == ["formed"]
    assert lost == {"hangs": "timeout after 2 s"}


def test_before_anybody_is_at_work_it_is_lost_to_all(names):
    result, lost = names(fakes.leave_at_once, fakes.Formed, fakes.Open)
    assert result is None
    assert set(lost) == {"formed", "open"}
    assert set(lost.values()) == {"the measuring process ended with exit code 3"}


def test_if_nobody_is_left_there_is_no_result(names):
    result, lost = names(fakes.dies_at_some, fakes.Leaves)
    assert result is None
    assert set(lost) == {"leaves"}
