"""A process of its own for the measuring, so that what hangs or crashes in it costs no more.

`Worker` starts the process when there is work, uses it again for the next piece, and replaces it
once it has died or had to be killed. The work's output goes to a file that nobody sees, Ctrl-C is
left to the parent, and the process ends when the parent does, whatever became of that one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["TimedOutError", "WorkLostError", "Worker", "note"]

# Nothing of a parent's state comes along: BLAS and OpenMP start with threads of their own.
_SPAWN = multiprocessing.get_context("spawn")
_NOTE_BYTES = 64
_STARTED = b"started"

# Shared with the parent, who reads it only once something is wrong. None outside a worker.
_note: Any = None


class WorkLostError(Exception):
    """The work did not come to its end, for the reason that the message gives.

    Attributes
    ----------
    at_work : str
        What the work itself said last, by `note`; empty if it said nothing.
    """

    def __init__(self, message: str, at_work: str = "") -> None:
        super().__init__(message)
        self.at_work = at_work


class TimedOutError(WorkLostError):
    """The work took longer than allowed, and its process was killed."""


def note(text: str) -> None:
    """Tell the parent what the work is at, at the cost of a copy in memory."""
    if _note is not None:
        _note.value = text.encode()[: _NOTE_BYTES - 1]


class Worker:
    """One child process that does calls, one after the other; a context manager."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def __enter__(self) -> Self:
        """Give itself; the process starts with the first call."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process, also in the middle of its work."""
        self.end()

    def call(
        self, function: Callable[..., Any], *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Call a function in the process and give what it returns.

        Parameters
        ----------
        function : callable
            Importable by name, since it is pickled; so are its arguments and what it returns.
        *args, **kwargs
            Its arguments.
        timeout : float, optional
            Seconds that it may take, without the start of the process and its imports.

        Raises
        ------
        TimedOutError
            If it took longer.
        WorkLostError
            If it raised, or the process died.
        """
        if self._process is None:
            self._start()
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: said below
            self._pipe.send((function, args, kwargs))
        self._receive(None)
        done, answer = self._receive(timeout)
        if not done:
            raise WorkLostError(answer, self._at_work())
        return answer

    def _start(self) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        lifeline, self._lifeline = _SPAWN.Pipe(duplex=False)
        self._note = _SPAWN.RawArray("c", _NOTE_BYTES)
        descriptor, log = tempfile.mkstemp(prefix="fastlogit-")
        self._log = os.fdopen(descriptor, "rb")
        self._log_path = Path(log)
        process = _SPAWN.Process(
            target=_serve, args=(theirs, lifeline, self._note, log), name="measuring"
        )
        self._process = process
        with _without_interrupts():
            process.start()
        # The child's ends are the child's alone, or nobody would see the other side close.
        theirs.close()
        lifeline.close()

    def _receive(self, timeout: float | None) -> Any:
        assert self._process is not None  # noqa: S101
        ready = connection.wait([self._pipe, self._process.sentinel], timeout)
        if not ready:
            at_work = self._at_work()
            self.end()
            raise TimedOutError(f"timeout after {timeout:g} s", at_work)
        # An answer counts even if the process died after it.
        with suppress(EOFError, ConnectionResetError):
            if self._pipe.poll():
                return self._pipe.recv()
        self._process.join(timeout=10)
        at_work, cause = self._at_work(), self._cause()
        self.end()
        raise WorkLostError(f"the measuring process ended with {cause}", at_work)

    def _at_work(self) -> str:
        return bytes(self._note.value).decode(errors="replace")

    def _cause(self) -> str:
        assert self._process is not None  # noqa: S101
        code = self._process.exitcode
        if code is None:
            cause = "its pipe closed"
        elif code < 0:
            cause = f"signal {-code} ({signal.Signals(-code).name})"
        else:
            cause = f"exit code {code}"
        if code == -9:
            cause += ", as when memory runs out"
        lines = self._log.read().decode(errors="replace").split("\n")
        words = [" ".join(line.split()) for line in lines if line.strip()]
        return f"{cause}: {words[-1]}" if words else cause

    def end(self) -> None:
        """End the process; the next call starts another."""
        if self._process is None:
            return
        self._process.kill()
        self._process.join()
        self._process = None
        for end in (self._pipe, self._lifeline, self._log):
            end.close()
        self._log_path.unlink(missing_ok=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back; a child started meanwhile inherits that, and never sees one too early."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # started on demand, it would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    pipe: connection.Connection[Any, Any],
    lifeline: connection.Connection[Any, Any],
    shared_note: Any,
    log: str,
) -> None:
    """Do the parent's calls, until it is gone."""
    global _note
    _note = shared_note
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    with suppress(OSError):  # an open file has no other name to be cleared away; not on Windows
        Path(log).unlink()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    while True:
        try:
            function, args, kwargs = pipe.recv()
        except EOFError:
            return
        note("")
        pipe.send(_STARTED)
        try:
            answer = (True, function(*args, **kwargs))
        except BaseException as error:
            answer = (False, " ".join(f"{type(error).__name__}: {error}".split()))
        pipe.send(answer)


def _end_with(lifeline: connection.Connection[Any, Any]) -> None:
    """End this process once the parent's end of a pipe is closed, as its death closes it."""
    # Asleep until then: it takes nothing from what is timed.
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)
