"""Kills a run whenever it touches its files, and goes on with it: a program of its own.

Processes are forked rather than started, so that hundreds of them take seconds. A run is killed
ahead of the n-time that it writes, renames or waits for the disk, or with half of the n-th
writing done; then its continuation is; then it is let through.
"""

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path

import fakes

from fastlogit.benchmark import machine, results, session
from fastlogit.benchmark.appended import AppendedTable
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.resume import resume

GRID = Grid(models=("softmax",), datasets=("iris", "wine"), epochs=1)
KINDS = [CONTENDERS["numpy"], CONTENDERS["numba"], fakes.Wrong]
REPEATS = 3


def run(out, done):
    """Begin a run, or go on with the one that there is; note each visit that is said to be kept."""

    class Notes:
        def visit_started(self, visit):
            pass

        def visit_done(self, visit, rows):
            with done.open("a") as stream:
                stream.writelines(
                    f"{row.cell_id} {row.impl} {row.repeat}\n"
                    for row in rows
                    if row.repeat is not None
                )

    facts = session.describe(GRID, KINDS, REPEATS)
    files, _ = resume(out, facts)
    files = files or results.RunFiles(out, facts)
    session.perform(files, GRID.cases(), KINDS, REPEATS, observer=Notes())


class Killer:
    """Ends the process at the n-th of the moments that it is shown."""

    def __init__(self, moment):
        self.left = moment

    def look(self):
        self.left -= 1
        return self.left == 0

    def ahead_of(self, work):
        def killing(*args, **options):
            if self.look():
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **options)

        return killing

    def halfway(self, write):
        def killing(table, data):
            if self.look():
                table._stream.write(data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(table, data)

        return killing


def killed(moment, half, *args):
    """Run in a process that dies at a moment; say whether it came to that."""
    pid = os.fork()
    if pid == 0:
        killer = Killer(moment)
        if half:
            AppendedTable._write = killer.halfway(AppendedTable._write)
        else:
            os.fsync = killer.ahead_of(os.fsync)
            Path.rename, Path.replace = map(killer.ahead_of, (Path.rename, Path.replace))
        try:
            run(*args)
        finally:
            os._exit(sys.exc_info()[0] is not None)
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), status
    return status != 0


def check_kept(out, done):
    """Hold what a killed run left against what it had said."""
    directories = sorted(out.glob("*/run.json"))
    if not directories:
        assert not done.exists()
        return
    (path,) = directories
    json.loads(path.read_text())
    rows = [path.with_name(name) for name in ("timings.csv", "timings.csv.partial")]
    (rows,) = filter(Path.exists, rows)
    said = done.read_text().splitlines() if done.exists() else []
    frame = results.read_timings(rows)
    assert not frame.duplicated(["cell_id", "impl", "repeat"]).any()
    timed = frame[frame["time_s"].notna()]
    there = timed["cell_id"] + " " + timed["impl"] + " " + timed["repeat"].map("{:.0f}".format)
    assert not {line for line in said if fakes.Wrong.name not in line} - set(there)
    wrong = frame[frame["status"] != "ok"]
    assert not set(wrong["cell_id"] + wrong["impl"]) & set(timed["cell_id"] + timed["impl"])


def files_of(out):
    (path,) = [p.parent for p in out.glob("*/run.json")]
    assert json.loads((path / "run.json").read_text())["status"] == "complete"
    names = ("timings.csv", "curves.csv", "summary.csv")
    assert {p.name for p in path.iterdir()} == {*names, "run.json"}
    return [(path / name).read_bytes() for name in names]


def main(scratch):
    session.Worker = fakes.InProcess
    session.measure_case = fakes.measure_nothing
    machine.calibrate = lambda threads: {
        "threads": threads,
        "sgemm_gflop_s": 50,
        "dgemm_gflop_s": 9,
    }
    facts = session.describe(GRID, KINDS, REPEATS)
    session.describe = lambda *_: dict(facts)
    run(scratch / "whole", scratch / "whole.done")
    expected = files_of(scratch / "whole")
    assert fakes.Wrong.name.encode() in expected[0]
    assert fakes.Wrong.name.encode() not in expected[1]
    moments = 0
    for half in (False, True):
        for moment in count(1):
            out, done = scratch / f"{half}-{moment}", scratch / f"{half}-{moment}.done"
            if not killed(moment, half, out, done):
                break
            check_kept(out, done)
            if killed(moment, half, out, done):
                check_kept(out, done)
                run(out, done)
            assert files_of(out) == expected
            moments += 1
    print(moments)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
