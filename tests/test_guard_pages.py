"""Nothing reads or writes beyond an array: a few of many trials, and that trials would see it.

Many more take a minute or two::

    python tests/guard_trials.py 500
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numba
import pytest

TESTS = Path(__file__).parent
# A trial of each kind. From this seed on, most have data large enough to be prefetched.
FIRST_SEED, TRIALS = 1488, 24
PROGRAM = """
import ctypes, resource
import numpy as np
from guard_pages import guard_pages

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with guard_pages({side!r}):
    array = {make}
    address, size = array.ctypes.data, array.nbytes
    assert array.flags.aligned
    ctypes.string_at(address, size)
    {then}
print("alive", flush=True)
ctypes.string_at(address + ({offset}), 1)
print("still alive")
"""

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has other calls for pages"),
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled"),
]


def run(*arguments, **environment):
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments], capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("side", "make", "then", "offset"),
    [
        ("end", "np.arange(7.0)", "", "size"),
        ("start", "np.arange(7.0)", "", "-1"),
        ("end", "np.zeros(1025, np.float32)", "", "size"),
        ("end", "np.arange(3).astype(np.uint32)", "", "size + 5000"),
        ("start", "np.empty((3, 4096))", "", "-5000"),
        ("start", "np.ones(2000)", "del array", "0"),
    ],
)
def test_a_byte_beyond_an_array_ends_the_process(side, make, then, offset):
    program = PROGRAM.format(side=side, make=make, then=then, offset=offset)
    done = run("-c", program, PYTHONPATH=str(TESTS / "helpers"))
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS), done.stderr
    assert done.stdout == "alive\n"


def test_trials_of_every_kind():
    done = run(str(TESTS / "guard_trials.py"), str(TRIALS), "--seed", str(FIRST_SEED))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{TRIALS} trials, 0 failed"
