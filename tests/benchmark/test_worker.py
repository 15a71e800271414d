import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fakes
import pytest

from fastlogit.benchmark import worker
from fastlogit.benchmark.worker import TimedOutError, Worker, WorkLostError

posix = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


@pytest.fixture
def own_worker():
    with Worker() as own:
        yield own


def test_calls_are_done_in_one_other_process(own_worker):
    pids = {own_worker.call(os.getpid) for _ in range(3)}
    assert len(pids) == 1
    assert pids != {os.getpid()}
    assert own_worker.call(divmod, 7, 2) == (3, 1)
    assert own_worker.call(sorted, [1, 3, 2], reverse=True) == [3, 2, 1]


def test_no_process_is_started_before_there_is_work(monkeypatch):
    monkeypatch.setattr(worker._SPAWN, "Process", None)
    with Worker():
        pass


def test_an_exception_is_told_in_one_line_and_the_process_goes_on(own_worker):
    pid = own_worker.call(os.getpid)
    with pytest.raises(WorkLostError, match=r"^ValueError: two lines$"):
        own_worker.call(fakes.raise_error, ValueError, "two\n  lines")
    with pytest.raises(WorkLostError, match=r"^KeyboardInterrupt: mine$"):
        own_worker.call(fakes.raise_error, KeyboardInterrupt, "mine")
    assert own_worker.call(os.getpid) == pid


def test_what_takes_too_long_is_killed_and_the_next_call_has_a_new_process(own_worker):
    pid = own_worker.call(os.getpid)
    with pytest.raises(TimedOutError, match=r"^timeout after 0\.2 s$"):
        own_worker.call(time.sleep, 100, timeout=0.2)
    gone(pid)
    assert own_worker.call(os.getpid) != pid


def test_imports_do_not_count_as_time_of_the_work(own_worker, monkeypatch, tmp_path):
    (tmp_path / "slow_to_import.py").write_text(
        "import sys, time\nif 'pytest' not in sys.modules: time.sleep(3)\ndef work(): return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import slow_to_import

    assert own_worker.call(slow_to_import.work, timeout=2) == 1


@posix
def test_a_function_that_never_lets_go_is_killed_too(own_worker):
    with pytest.raises(TimedOutError):
        own_worker.call(fakes.sleep_in_c, timeout=0.2)


@pytest.mark.parametrize(
    ("function", "arguments", "cause"),
    [
        (os._exit, (7,), "exit code 7"),
        (os._exit, (0,), "exit code 0"),
        pytest.param(fakes.die_by, (signal.SIGTERM,), r"signal 15 \(SIGTERM\)", marks=posix),
        pytest.param(
            *(fakes.die_by, (9,), r"signal 9 \(SIGKILL\), as when memory runs out"), marks=posix
        ),
        (fakes.say_and_leave, ("first\n last   words\n\n",), "exit code 1: last words"),
    ],
)
def test_how_a_process_ended_is_told(own_worker, function, arguments, cause):
    for _ in range(2):  # in the process that replaces it, too
        with pytest.raises(WorkLostError, match=f"^the measuring process ended with {cause}$"):
            own_worker.call(function, *arguments)
    assert own_worker.call(divmod, 7, 2) == (3, 1)


def test_what_was_at_work_is_known_of_a_dead_process(own_worker):
    for function in (fakes.note_and_leave, fakes.note_and_raise):
        with pytest.raises(WorkLostError) as lost:
            own_worker.call(function, "numba")
        assert lost.value.at_work == "numba"
    with pytest.raises(WorkLostError) as lost:
        own_worker.call(os._exit, 1)
    assert lost.value.at_work == ""  # what the call before had noted is no longer so


def test_a_note_outside_a_worker_is_nobody_s(own_worker):
    worker.note("numpy")


def test_a_long_note_is_cut(own_worker):
    with pytest.raises(WorkLostError) as lost:
        own_worker.call(fakes.note_and_leave, "n" * 100)
    assert lost.value.at_work == "n" * 63


def test_output_goes_nowhere(capfd):
    with Worker() as own:
        own.call(print, "to stdout", flush=True)
        own.call(os.write, 2, b"to stderr")
    assert capfd.readouterr() == ("", "")


def test_no_file_is_left_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(worker.tempfile, "tempdir", str(tmp_path))
    with Worker() as own:
        own.call(os.getpid)
        with pytest.raises(WorkLostError):
            own.call(os._exit, 1)
        own.call(os.getpid)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_found_there_is_told(own_worker, monkeypatch, tmp_path):
    module = tmp_path / "soon_gone.py"
    module.write_text("def work(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import soon_gone

    module.unlink()
    with pytest.raises(WorkLostError, match="exit code 1: ModuleNotFoundError: No module named"):
        own_worker.call(soon_gone.work)


@posix
def test_ctrl_c_is_left_to_the_parent(own_worker):
    own_worker.call(os.kill, own_worker.call(os.getpid), signal.SIGINT)
    assert own_worker.call(divmod, 7, 2) == (3, 1)


@posix
def test_ctrl_c_while_the_process_starts_is_the_parent_s_alone(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from fastlogit.benchmark.worker import Worker\n"
        "with Worker() as own:\n"
        "    own._start()\n"
        "    try: os.killpg(0, signal.SIGINT)\n"
        "    except KeyboardInterrupt: print('heard')\n"
        "    print(own.call(divmod, 7, 2))\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n(3, 1)\n", "")


@posix
@pytest.mark.parametrize("busy", [True, False])
def test_the_process_ends_with_its_parent_however_that_ends(busy, tmp_path):
    sign = tmp_path / "pid"
    program = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import fakes\n"
        "from fastlogit.benchmark.worker import Worker\n"
        "own = Worker()\n"
        f"own.call(fakes.sign_in, {str(sign)!r}, {100 if busy else 0})\n"
        "time.sleep(100)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])  # noqa: S603
    while not sign.exists() or not sign.read_text():
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    gone(int(sign.read_text()))


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
        time.sleep(0.05)
    raise AssertionError(f"process {pid} lives on")
