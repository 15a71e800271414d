import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pool_work
import pytest

from fastlogit.benchmark import pool
from fastlogit.benchmark.pool import MeasuringPool, TimedOutError, WorkLostError, call_for_case

posix = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


@pytest.fixture(scope="module")
def shared():
    with MeasuringPool() as own:
        yield own


def test_calls_are_done_in_one_other_process(shared):
    pids = {shared.call(os.getpid) for _ in range(3)}
    assert len(pids) == 1
    assert pids != {os.getpid()}
    assert shared.call(sorted, [1, 3, 2], reverse=True) == [3, 2, 1]


def test_no_process_is_started_before_there_is_work(monkeypatch):
    monkeypatch.setattr(pool, "ProcessPoolExecutor", None)
    with MeasuringPool() as own:
        own.restart()


def test_a_process_that_cannot_be_started_is_the_caller_s_error(monkeypatch):
    def cannot(*_):
        raise OSError("no more processes")

    monkeypatch.setattr(pool.ProcessPoolExecutor, "submit", cannot)
    with pytest.raises(OSError, match="no more processes"), MeasuringPool() as own:
        own.call(int)
    assert os.name == "nt" or signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_restart_gives_another_process(shared):
    pid = shared.call(os.getpid)
    shared.restart()
    gone(pid)
    assert shared.call(os.getpid) != pid


def test_an_exception_is_told_in_one_line_and_the_process_goes_on(shared):
    pid = shared.call(os.getpid)
    for raising, line in (
        ("raise ValueError('two\\n  lines')", "ValueError: two lines"),
        ("raise KeyboardInterrupt('mine')", "KeyboardInterrupt: mine"),
        ("raise TimeoutError('its own')", "TimeoutError: its own"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ):
        with pytest.raises(WorkLostError) as lost:
            shared.call(exec, raising)
        assert (type(lost.value), str(lost.value)) == (WorkLostError, line)
    assert shared.call(os.getpid) == pid


def test_what_cannot_be_pickled_is_told_and_the_process_goes_on(shared):
    pid = shared.call(os.getpid)
    with pytest.raises(WorkLostError, match="pickle"):
        shared.call(print, threading.Lock())
    with pytest.raises(WorkLostError, match="pickle"):
        shared.call(threading.Lock)
    assert shared.call(os.getpid) == pid


@pytest.mark.parametrize("hanging", [pool_work.Hangs, pool_work.HangsInC])
def test_what_takes_too_long_is_killed_and_the_next_call_has_a_new_process(shared, hanging):
    pid = shared.call(os.getpid)
    with pytest.raises(TimedOutError, match=r"^timeout after 0\.1 s$") as lost:
        shared.call(pool_work.note_and, "numpy", hanging.run, timeout=0.1)
    assert lost.value.at_work == "numpy"
    gone(pid)
    assert shared.call(os.getpid) != pid


def test_starting_and_importing_do_not_count_as_time_of_the_work(monkeypatch, tmp_path):
    (tmp_path / "slow_to_import.py").write_text(
        "import sys, time\nif 'pytest' not in sys.modules: time.sleep(1)\ndef work(): return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import slow_to_import

    with MeasuringPool() as own:
        assert own.call(slow_to_import.work, timeout=0.5) == 1


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups")
def test_what_the_work_has_started_ends_with_it(shared, tmp_path):
    path = tmp_path / "number"
    with pytest.raises(TimedOutError):
        shared.call(pool_work.start_another, str(path), timeout=3)
    with pytest.raises(ProcessLookupError):  # noqa: PT012
        for _ in range(100):  # until the system has cleared it away
            os.kill(int(path.read_text()), 0)
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("work", "cause"),
    [
        (pool_work.Leaves, "exit code 7: last words"),
        pytest.param(pool_work.Crashes, "signal 11 (SIGSEGV)", marks=posix),
        pytest.param(
            pool_work.IsKilled, "signal 9 (SIGKILL), as when memory runs out", marks=posix
        ),
    ],
)
def test_how_a_process_ended_and_what_was_at_work_is_told(shared, work, cause):
    for name in ("numpy", "torch"):  # in the process that replaces it, too
        with pytest.raises(WorkLostError) as lost:
            shared.call(pool_work.note_and, name, work.run)
        assert str(lost.value) == f"the measuring process ended with {cause}"
        assert lost.value.at_work == name
    assert shared.call(divmod, 7, 2) == (3, 1)


def test_a_process_that_dies_between_two_calls_is_replaced(shared):
    pid = shared.call(os.getpid)
    os.kill(pid, signal.SIGTERM)
    shared._process.join()
    while shared._process.is_alive():  # until the executor's thread has noted it, too
        time.sleep(0.01)
    assert shared.call(os.getpid) != pid


def test_who_was_at_work_in_the_call_before_is_not_in_the_next(shared):
    shared.call(pool_work.note_and, "numpy", int)
    with pytest.raises(WorkLostError) as lost:
        shared.call(exec, "raise ValueError")
    assert lost.value.at_work == ""


def test_a_note_is_cut_where_it_is_long_and_goes_nowhere_outside(shared):
    pool.note("numpy")
    with pytest.raises(WorkLostError) as lost:
        shared.call(pool_work.note_and, "n" * 100, pool_work.Raises.run)
    assert lost.value.at_work == "n" * 63


def test_what_the_work_prints_is_shown_nowhere(capfd):
    with MeasuringPool() as own:
        own.call(print, "to stdout", flush=True)
        own.call(os.write, 2, b"to stderr")
        with pytest.raises(WorkLostError):
            own.call(pool_work.Leaves.run)
    assert capfd.readouterr() == ("", "")


def test_no_file_is_left_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(pool.tempfile, "tempdir", str(tmp_path))
    with MeasuringPool() as own:
        own.call(os.getpid)
        with pytest.raises(WorkLostError):
            own.call(os._exit, 1)
        own.call(os.getpid)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_imported_there_is_told(shared, monkeypatch, tmp_path):
    module = tmp_path / "soon_gone.py"
    module.write_text("def work(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import soon_gone

    module.unlink()
    with pytest.raises(WorkLostError, match="exit code 1: ModuleNotFoundError: No module named"):
        shared.call(soon_gone.work)


@pytest.mark.parametrize(
    ("faulty", "error"),
    [
        (pool_work.Raises, "OSError: of its own"),
        (pool_work.Hangs, "timeout after 0.5 s"),
        (pool_work.Leaves, "the measuring process ended with exit code 7: last words"),
        pytest.param(
            pool_work.Crashes, "the measuring process ended with signal 11 (SIGSEGV)", marks=posix
        ),
    ],
)
def test_a_faulty_implementation_costs_its_own_place_only(shared, faulty, error):
    kinds = [pool_work.Works, faulty]
    for order in (kinds, kinds[::-1]):
        result, lost = call_for_case(shared, pool_work.run_all, "a", order, timeout=0.5, extra=1)
        assert result == ("a", {"works": "done"}, {"extra": 1})
        assert lost == {faulty: error}


def test_several_faulty_implementations_are_left_out_one_by_one(shared):
    kinds = [pool_work.Raises, pool_work.Leaves]
    result, lost = call_for_case(shared, pool_work.run_all, "a", kinds)
    assert result is None
    assert list(lost) == kinds


def test_a_case_that_fails_before_any_implementation_begins_is_lost_to_all(shared):
    kinds = [pool_work.Works, pool_work.Raises]
    result, lost = call_for_case(shared, pool_work.run_broken, "a", kinds)
    assert (result, lost) == (None, dict.fromkeys(kinds, "ValueError: a"))


@posix
def test_ctrl_c_ends_the_process_in_the_middle_of_its_work():
    interrupt_parent = f"import os, time; os.kill({os.getpid()}, {signal.SIGINT:d}); time.sleep(20)"
    with pytest.raises(KeyboardInterrupt), MeasuringPool() as own:  # noqa: PT012
        pid = own.call(os.getpid)
        own.call(exec, interrupt_parent)
    gone(pid)


@posix
def test_ctrl_c_is_left_to_the_parent(shared):
    pid = shared.call(os.getpid)
    shared.call(os.kill, pid, signal.SIGINT)
    assert shared.call(os.getpid) == pid


@posix
def test_ctrl_c_while_the_process_starts_is_the_parent_s_alone():
    program = (
        "import os, signal, sys\n"
        "from fastlogit.benchmark.pool import MeasuringPool\n"
        "with MeasuringPool() as own:\n"
        "    own._start()\n"
        "    try: os.killpg(0, signal.SIGINT)\n"
        "    except KeyboardInterrupt: print('heard')\n"
        "    print(own.call(divmod, 7, 2))\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        start_new_session=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n(3, 1)\n", "")


@posix
@pytest.mark.parametrize("seconds", [100, 0], ids=["busy", "idle"])
def test_the_process_ends_with_its_parent_however_that_ends(seconds, tmp_path):
    sign, scratch = tmp_path / "pid", tmp_path / "scratch"
    scratch.mkdir()
    program = (
        f"import sys, time; sys.path.insert(0, {str(Path(pool_work.__file__).parent)!r})\n"
        "import pool_work\n"
        "from fastlogit.benchmark.pool import MeasuringPool\n"
        "own = MeasuringPool()\n"
        f"own.call(pool_work.sign_in, {str(sign)!r}, {seconds})\n"
        "time.sleep(100)\n"
    )
    parent = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program], env=os.environ | {"TMPDIR": str(scratch)}
    )
    while not sign.exists():
        assert parent.poll() is None
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    gone(int(sign.read_text()))
    assert list(scratch.iterdir()) == []


def gone(pid):
    """Wait until a process is no more, or only a name in a table."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} lives on")
