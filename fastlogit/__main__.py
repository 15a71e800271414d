"""``python -m fastlogit script.py``: a program of scikit-learn's on fastlogit, unchanged."""

import atexit
import builtins
import io
import os
import runpy
import sys
import zipfile
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from time import perf_counter
from traceback import walk_tb
from types import ModuleType, TracebackType
from typing import Any

from fastlogit.patching import patch_sklearn
from fastlogit.verbosity import report_total

USAGE = """\
usage: python -m fastlogit script.py [arguments]
       python -m fastlogit -m module [arguments]

Run a Python program with fastlogit's classes in the place of scikit-learn's of the same names.
FASTLOGIT_VERBOSE=1 in the environment prints a line for each fit, with the code that ran it and
its time, and one with the sums at the end.
The benchmark's command line is "fastlogit".
"""


def main(arguments: list[str]) -> None:
    """Run the program that the arguments name, as Python does."""
    is_module = arguments[:1] == ["-m"]
    program = arguments[is_module:]
    if not program or (program[0].startswith("-") and not is_module):
        asked = arguments[:1] in (["-h"], ["--help"])
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    patch_sklearn()
    started = perf_counter()
    atexit.register(lambda: report_total(" ".join(arguments), perf_counter() - started))
    sys.excepthook = _without_own_frames(sys.excepthook)
    # From now on; the program may run on after its last line, in threads and at exit.
    sys.modules["__main__"] = ModuleType("__main__")
    vars(sys.modules["__main__"])["__builtins__"] = builtins
    sys.argv[:] = program
    if is_module:
        runpy._run_module_as_main(program[0])  # type: ignore[attr-defined]  # as python -m does
    elif Path(program[0]).is_dir() or zipfile.is_zipfile(program[0]):
        sys.path[0] = os.path.join(Path.cwd(), program[0])  # noqa: PTH118
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
    else:
        run_script(program[0])


def run_script(path: str) -> None:
    """Run a file as the module ``__main__``."""
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(path).resolve().parent)
    file = os.path.join(Path.cwd(), path)  # noqa: PTH118 - Python keeps a "./" too
    try:
        with io.open_code(file) as opened:
            source = opened.read()
    except OSError as error:
        text = f"can't open file {file!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: {text}", file=sys.stderr)
        sys.exit(2)
    names = vars(sys.modules["__main__"])
    loader = SourceFileLoader("__main__", file)
    names.update(__file__=file, __loader__=loader, __cached__=None)
    exec(compile(source, file, "exec", dont_inherit=True), names)  # noqa: S102


def _without_own_frames(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a hook that shows an error without the frames down to the last of this file."""

    def show(kind: type, error: BaseException, trace: TracebackType | None) -> None:
        files = [frame.f_code.co_filename for frame, _ in walk_tb(trace)]
        depth = len(files) - files[::-1].index(__file__) if __file__ in files else 0
        for _ in range(depth):
            trace = trace.tb_next if trace else None
        hook(kind, error.with_traceback(trace), trace)

    return show


if __name__ == "__main__":
    main(sys.argv[1:])
