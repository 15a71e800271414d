"""A process of its own for the measuring, so that what hangs or crashes in it costs no more.

`MeasuringPool` is an executor of one process with what an executor lacks: time limits that kill,
the cause of a crash and what was at work then, and no process that outlives its parent.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

# Nothing of the parent's state is inherited: BLAS and OpenMP start with threads of their own.
_SPAWN = multiprocessing.get_context("spawn")
_note: Any = None  # in the child: bytes that the parent can read, whatever happens to the child


class WorkLostError(Exception):
    """The work raised, or its process ended; `at_work` is what it has passed to `note` last."""

    at_work = ""


class TimedOutError(WorkLostError):
    """The work took longer than allowed, and its process was killed."""


def note(name: str) -> None:
    """Record who is at work, where the parent can read it."""
    if _note is not None:
        _note.value = name.encode()[:63]


class MeasuringPool(AbstractContextManager["MeasuringPool", None]):
    """One child process, started when there is work; a context manager.

    Ctrl-C reaches the parent alone, and what the child prints is shown nowhere.
    """

    _executor: ProcessPoolExecutor | None = None
    _process: multiprocessing.process.BaseProcess

    def __exit__(self, *error: object) -> None:
        """End the process, also in the middle of its work."""
        self.restart()

    def call(
        self, function: Callable[..., Any], *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Return what a function returns in the process, or raise a `WorkLostError`.

        `timeout` is in seconds, without the start of the process and its imports.
        """
        executor = self._start()
        self._note.value = b""
        try:
            executor.submit(bool, (function, args, kwargs)).result()  # unpickled, they import much
            return executor.submit(_work, function, args, kwargs).result(timeout)
        except TimeoutError:
            lost: WorkLostError = TimedOutError(f"timeout after {timeout:g} s")
            self.restart()
        except BrokenExecutor:
            executor.shutdown()  # only then is the exit code known
            lost = WorkLostError(f"the measuring process ended with {self._cause()}")
        except Exception as error:
            lost = WorkLostError(" ".join(str(error).split()))
        lost.at_work = self._note.value.decode(errors="replace")
        raise lost

    def restart(self) -> None:
        """End the process; the next call starts another."""
        if self._executor is not None:
            self._process.kill()
            if hasattr(os, "killpg") and self._process.pid:  # what it has started, as a first fit
                with suppress(OSError):  # there was nothing, or no group yet
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._executor.shutdown()
            self._executor = None
            self._log.close()
            Path(self._log.name).unlink(missing_ok=True)

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is not None and self._process.is_alive():
            return self._executor
        self.restart()
        self._note = _SPAWN.RawArray("c", 64)
        self._log = tempfile.NamedTemporaryFile(prefix="fastlogit-", delete=False)  # noqa: SIM115
        executor = ProcessPoolExecutor(1, _SPAWN, _begin, (self._note, self._log.name))
        # A child that starts while Ctrl-C is held back never sees one.
        posix = hasattr(signal, "pthread_sigmask")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if posix else set()
        others = multiprocessing.active_children()
        try:
            executor.submit(int)
            (self._process,) = set(multiprocessing.active_children()).difference(others)
        finally:
            if posix:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._executor = executor
        return executor

    def _cause(self) -> str:
        code = -(self._process.exitcode or 0)
        cause = f"signal {code} ({signal.Signals(code).name})" if code > 0 else f"exit code {-code}"
        cause += ", as when memory runs out" if code == 9 else ""
        last = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"{cause}: {' '.join(last.split())}" if last else cause


def call_for_case(
    pool: MeasuringPool, work: Callable[..., Any], case: object, implementations: Sequence[Any],
    *, timeout: float | None = None, **options: Any,
) -> tuple[Any, dict[Any, str]]:  # fmt: skip
    """Have work done on a case, and done again without each implementation that it is lost to.

    `work` says who is at work by ``note(f"{comparison}/{name}")``. Return what it returned, None if
    no implementation is left, and by those left out how it was lost.
    """
    lost: dict[Any, str] = {}
    while left := [each for each in implementations if each not in lost]:
        try:
            return pool.call(work, case, left, timeout=timeout, **options), lost
        except WorkLostError as loss:
            at_work = [each for each in left if f"{each.comparison}/{each.name}" == loss.at_work]
            # Lost before any implementation began, the case itself is at fault.
            lost |= dict.fromkeys(at_work or left, str(loss))
    return None, lost


def _begin(shared_note: Any, log: str) -> None:
    global _note
    _note = shared_note
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it cannot be held back
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    for descriptor in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), descriptor)

    def end_with_parent() -> None:
        multiprocessing.parent_process().join()  # type: ignore[union-attr]
        Path(log).unlink(missing_ok=True)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except BaseException as error:  # as text: not every exception can be pickled
        raise RuntimeError(f"{type(error).__name__}: {error}") from None
