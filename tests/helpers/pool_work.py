"""What a measuring process is given to do in the tests, where a spawned process can import it."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from fastlogit.benchmark.pool import note


class Works:
    name = "works"
    comparison = "same-steps"

    @staticmethod
    def run():
        return "done"


class Raises(Works):
    name = "raises"

    @staticmethod
    def run():
        raise OSError("of its own")


class Hangs(Works):
    name = "hangs"

    @staticmethod
    def run():
        time.sleep(100)


class HangsInC(Works):
    name = "hangs-in-c"

    @staticmethod
    def run():
        ctypes.PyDLL(None).sleep(100)  # and keeps the interpreter's lock


class Crashes(Works):
    name = "crashes"

    @staticmethod
    def run():
        ctypes.string_at(0)


class IsKilled(Works):
    name = "is-killed"

    @staticmethod
    def run():
        os.kill(os.getpid(), signal.SIGKILL)


class Leaves(Works):
    name = "leaves"

    @staticmethod
    def run():
        os.write(2, b"first\n  last   words\n\n")
        os._exit(7)


def run_all(case, implementations, **options):
    """Run every implementation, as the measuring of a case does."""
    results = {}
    for each in implementations:
        note(f"{each.comparison}/{each.name}")
        results[each.name] = each.run()
    return case, results, options


def run_broken(case, implementations):
    """Fail before any implementation begins."""
    raise ValueError(case)


def note_and(name, function, *args):
    note(name)
    return function(*args)


def sign_in(path, seconds):
    """Write this process's id into a file, and sleep."""
    with open(path + ".new", "w") as stream:  # noqa: PTH123
        stream.write(str(os.getpid()))
    os.replace(path + ".new", path)  # noqa: PTH105
    time.sleep(seconds)


def start_another(path):
    """Start a process that leaves its number in a file, and wait for it."""
    program = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(99)"
    subprocess.run([sys.executable, "-c", program, path], check=True)  # noqa: S603
