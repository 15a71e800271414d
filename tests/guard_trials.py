"""Runs kernels and entry points on arrays that lie next to unreadable pages: a program of its own.

A trial is a seed, which says what runs, on which shapes, and whether the ends or the starts of all
arrays are guarded (:mod:`guard_pages`). What comes out has to have the bits that it has without
guards, and to be, up to rounding, what the NumPy side or a primitive's own Python body makes of it.
Each trial has a process, forked from one that has compiled the kernels. Whatever ends it but its
own success is a failure, which is printed::

    python tests/guard_trials.py 500 [--seed 0] [--jobs 1]
    python tests/guard_trials.py --only SEED
"""

import argparse
import copy
import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not survive a fork
os.environ["FASTLOGIT_COMPILE"] = "wait"
sys.path.insert(0, str(Path(__file__).with_name("helpers")))

import numpy as np
from guard_cases import ACCURACY, KINDS, Draw
from guard_pages import SIDES, guard_pages, handler
from scipy.sparse import issparse

import fastlogit

LIMIT_SECONDS, PROGRESS_SECONDS = 60, 3


def arrays(value):
    """Return the arrays of which a value consists."""
    if issparse(value):
        return [value.data, value.indices, value.indptr]
    if isinstance(value, tuple | list):
        return [array for item in value for array in arrays(item)]
    return [] if value is None else [np.asarray(value)]


def outcome(function, args):
    """Return the arrays of each argument after the call, and last those that it returns."""
    args = copy.deepcopy(args)
    returned = function(*args)
    return [arrays(value) for value in (*args, returned)]


def check(call, side):
    """Hold a call on guarded arrays against the usual one and the plain one."""
    with guard_pages(side):
        guarded = outcome(call.run, call.args)
    usual = outcome(call.run, call.args)
    for array, other in zip(arrays(guarded), arrays(usual), strict=True):
        np.testing.assert_array_equal(array, other)
        assert (array.dtype, array.tobytes()) == (other.dtype, other.tobytes())
    if call.plain is None:
        return
    floats = [array.itemsize for array in arrays(usual) if array.dtype.kind == "f"]
    expected = outcome(call.plain, call.args)
    for place in {*range(len(expected))}.difference(call.spent):
        for array, other in zip(guarded[place], expected[place], strict=True):
            tolerance = ACCURACY[min(floats, default=8)] * (1 + np.abs(other).max(initial=0))
            np.testing.assert_allclose(array, other, rtol=0, atol=tolerance)


def described(value):
    """Return a value in a few words: of an array dtype and shape."""
    if isinstance(value, tuple | list):
        return f"({', '.join(map(described, value))})"
    if issparse(value):
        return f"csr{list(value.shape)} of {described(arrays(value))}"
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def start(calls, side, report):
    """Run a trial in a process of its own, which says in a file what it does; return its id."""
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        faulthandler.enable(report)
        faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True, file=report)
        for call in calls:
            options = getattr(call.run, "keywords", "")
            print(f"{call.name}{described(call.args)} {options}", file=report, flush=True)
            check(call, side)
        status = 0
    except BaseException:
        traceback.print_exc(file=report)
    finally:
        report.flush()
        os._exit(status)


def warm_up():
    """Compile the entry points, or load them, for all trials."""
    fastlogit.warmup(sparse=True)
    for side in SIDES:
        handler(side)
    rng = np.random.default_rng(0)
    for D, dtype in ((3, np.float32), (200, np.float32), (3, np.float64), (200, np.float64)):
        X, y = rng.normal(size=(9, D)).astype(dtype), np.arange(9) % 2
        for options in ({"solver": "newton-cg"}, {"solver": "saga", "l1_ratio": 0.5}):
            fastlogit.LogisticRegression(max_iter=2, **options).fit(X, y)


def run(seeds, jobs):
    """Run the trials, print those that fail, and return how many do."""
    waiting, running, done, failed = list(seeds), {}, 0, 0
    told = time.monotonic()
    while waiting or running:
        if waiting and len(running) < jobs:
            draw = Draw(seed := waiting.pop(0))
            calls = list(KINDS[seed % len(KINDS)](draw))
            report = tempfile.TemporaryFile("w+")  # noqa: SIM115
            running[start(calls, draw.side, report)] = f"seed {seed}, {draw.side} guarded", report
            continue
        pid, status = os.wait()
        name, report = running.pop(pid)
        code, done = os.waitstatus_to_exitcode(status), done + 1
        if code != 0:
            failed += 1
            report.seek(0)
            print(f"{name}: {signal.Signals(-code).name if code < 0 else 'failed'}")
            print(report.read().split("\n\nExtension modules:")[0], flush=True)
        report.close()
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"{done} of {len(seeds)} trials, {failed} failed", file=sys.stderr)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--only", type=int, metavar="SEED", help="run this trial alone")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.trials)
    if given.only is not None:
        seeds = range(given.only, given.only + 1)
    warnings.simplefilter("ignore")  # of fits cut short, and of a library's thread at the fork
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warm_up()
    failed = run(seeds, given.jobs)
    print(f"{len(seeds)} trials, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
