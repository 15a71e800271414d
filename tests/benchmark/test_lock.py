import subprocess
import sys

import pytest

from fastlogit.benchmark.lock import DirectoryLock

pytest.importorskip("fcntl")


def in_another_process(directory):
    program = (
        "import sys; from pathlib import Path; from fastlogit.benchmark.lock import DirectoryLock\n"
        "try: DirectoryLock(Path(sys.argv[1])); print('free')\n"
        "except BlockingIOError: print('held')"
    )
    command = [sys.executable, "-c", program, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def test_others_are_kept_out_until_it_is_released(tmp_path):
    lock = DirectoryLock(tmp_path)
    assert in_another_process(tmp_path) == "held"
    with pytest.raises(BlockingIOError):
        DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    assert in_another_process(tmp_path) == "free"  # and its end has released it
    DirectoryLock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    from fastlogit.benchmark import lock

    def unknown(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(lock.fcntl, "flock", unknown)
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.release()
    second.release()
