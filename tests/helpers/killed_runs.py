"""Kills a run whenever it touches its files, and resumes it: a program of its own.

Processes are forked rather than started, so that a hundred of them take seconds. A run is killed
ahead of the n-th time that it makes, flushes, renames or removes a file, or with half of the file
written; then its continuation is; then it is let through. The second argument is the step from
one n to the next.
"""

import json
import os
import shutil
import signal
import sys
import types
from itertools import count
from pathlib import Path

import pandas as pd

from fastlogit.benchmark.schema import CurvePoint, Timing
from fastlogit.benchmark.storage import new_run, read_run, resume_run

FACTS = {"config": {"repeats": 4, "datasets": ("iris",)}, "packages": {"numpy": "2.0"}}
CASES, ROUNDS = ("b", "a"), (1, 2)


def rows_of(case_id, round):  # noqa: A002
    """Return the rows of a part: two repeats of each of two implementations."""
    first = {"compile_s": 0.125, "prep_s": 0.25} if round == 1 else {}
    return [
        Timing(
            case_id=case_id, comparison="same-steps", model="softmax", dataset="iris",
            implementation=name, version="2.0", solver="sgd", batch_size=32, dtype="float32",
            threads=1, epochs=2, seed=0, repeat=repeat, time_s=0.1 * repeat + 0.7, samples=9,
            verified=True, status="ok", **first,
        )
        for name in ("numpy", "fastlogit")
        for repeat in (2 * round - 2, 2 * round - 1)
    ]  # fmt: skip


def curve_of(case_id, round):  # noqa: A002
    """Return the points of a part's curves."""
    return [
        CurvePoint(
            case_id=case_id, implementation=name, seed=0, epoch=round, elapsed_s=0.5 / round,
            train_loss=0.25, test_accuracy=None,
        )
        for name in ("numpy", "fastlogit")
    ]  # fmt: skip


def stub_summary(set_item):
    """Have summaries say only how often what stands in the tables."""

    def summarise(timings, curves, facts):
        groups = timings.groupby(["case_id", "implementation"], sort=False)
        table = groups["time_s"].median().rename("median_s").reset_index()
        table["take_s"] = table["case_id"].map(facts.get("take_s", {}))
        table["points"] = len(curves)
        return table

    stub = types.ModuleType("fastlogit.benchmark.summary")
    stub.summarise = summarise
    set_item(sys.modules, stub.__name__, stub)


def run(out, done):
    """Begin a run, or resume the one that there is; note each part that is said to be kept."""
    files, _ = resume_run(out, FACTS)
    if files is None and any(out.glob("*/run.json")):
        return  # killed when all was there
    with files or new_run(out, FACTS) as files:
        for round_ in ROUNDS:
            for case_id in CASES:
                if (case_id, round_) in files.parts:
                    continue
                facts = {"take_s": round_ / 8 if case_id == "a" else 1 / round_}
                rows, curve = rows_of(case_id, round_), curve_of(case_id, round_)
                files.write_part(case_id, round_, rows, curve, facts)
                with done.open("a") as stream:
                    stream.write(f"{case_id} {round_}\n")
        files.finish("complete")


def kill_at(moment, half):
    """End this process at the n-th of its moments: ahead of it, or with half of a file there."""
    left = moment

    def killing(work, halve=False):
        def killing_work(*args, **options):
            nonlocal left
            left -= 1
            if left == 0:
                if halve:
                    os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **options)

        return killing_work

    os.fsync = killing(os.fsync, half)
    if not half:
        Path.replace, Path.mkdir = killing(Path.replace), killing(Path.mkdir)
        shutil.rmtree, os.unlink = killing(shutil.rmtree), killing(os.unlink)
        os.rmdir = killing(os.rmdir)


def in_child(prepare, *args):
    """Run in a process that may die; return whether it did."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            prepare()
            run(*args)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), status
    return status != 0


def check_kept(out, done):
    """Compare what a killed run left with what it had said."""
    said = done.read_text().split("\n")[:-1] if done.exists() else []
    directories = [path.parent for path in out.glob("*/run.json")]
    if not directories:
        assert not said
        return
    (directory,) = directories
    json.loads((directory / "run.json").read_text())
    timings = read_run(directory).timings
    assert not timings.duplicated(["case_id", "implementation", "repeat"]).any()
    there = {f"{row.case_id} {row.repeat // 2 + 1}" for row in timings.itertuples()}
    assert set(said) <= there, (said, there)
    # No more than the part in progress is without a word.
    assert len(there) <= len(set(said)) + 1
    assert len(timings) == 4 * len(there)


def files_of(out):
    """Return the contents of a complete run's files, without the run's id."""
    (path,) = [path.parent for path in out.glob("*/run.json")]
    facts = json.loads((path / "run.json").read_text())
    assert facts.pop("run_id") == path.name
    assert facts["status"] == "complete"
    names = ("timings.csv", "curves.csv", "summary.csv")
    assert {each.name for each in path.iterdir()} == {*names, "run.json"}
    return [facts, *((path / name).read_text().replace(path.name, "ID") for name in names)]


def main(scratch, step):
    stub_summary(dict.__setitem__)
    os.fsync = lambda descriptor: None  # no crash of the system here, and slow
    run(scratch / "whole", scratch / "whole.done")
    expected = files_of(scratch / "whole")
    assert len(pd.read_csv(next(scratch.glob("whole/*/timings.csv")))) == 16
    moments = 0
    for half in (False, True):
        for moment in count(1, step):
            out, done = scratch / f"{half}-{moment}", scratch / f"{half}-{moment}.done"

            def kill(moment=moment, half=half):
                kill_at(moment, half)

            if not in_child(kill, out, done):
                break
            check_kept(out, done)
            if in_child(kill, out, done):
                check_kept(out, done)
            in_child(lambda: None, out, done)
            assert files_of(out) == expected, out
            moments += 1
    print(moments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
