"""The command line in this process, and runs that measure nothing."""

import sys
from dataclasses import dataclass, field

import pytest

from fastlogit import cli
from fastlogit.benchmark import machine, session
from fastlogit.benchmark.case_runner import common_fields
from fastlogit.benchmark.schema import Timing
from fastlogit.benchmark.storage import read_run

SECONDS = {"fastlogit": 1e-3, "scikit-learn": 3e-3, "numpy": 2e-2}


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty directory; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "load_average", lambda: [0.0, 0.0, 0.0])
    monkeypatch.setattr(machine, "environment", dict)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastlogit", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


@dataclass
class Unmeasured:
    """What stands in for `session.perform`: it writes rows as if it had measured.

    `failures` maps implementations to the status and error that they get, `ends` is raised after
    the first case, and `asked` holds what each call was asked for.
    """

    failures: dict = field(default_factory=dict)
    ends: BaseException | None = None
    asked: list = field(default_factory=list)

    def perform(self, files, cases, implementations, repeats, *, timeout=None, observer=None):
        self.asked.append((cases, implementations, repeats, timeout))
        with files:
            rounds = session.schedule(cases, implementations, repeats)
            for each in rounds:
                observer.round_started(each.number, len(rounds))
                for case, kinds in each.cases:
                    if (case.case_id, each.number) in files.parts:
                        continue
                    observer.case_started(case, each.number)
                    rows = [row for kind in kinds for row in self._rows(case, kind, each)]
                    files.write_part(case.case_id, each.number, rows, [], {})
                    observer.case_done(case, each.number, rows)
                    if self.ends is not None:
                        files.finish("interrupted")
                        raise self.ends
            files.finish("complete")
        return read_run(files.directory)

    def _rows(self, case, kind, each):
        common = common_fields(case, kind)
        if kind.name in self.failures:
            status, error = self.failures[kind.name]
            return [Timing(**common, status=status, error=error)] if each.number == 1 else []
        seconds = SECONDS.get(kind.name, 5e-3)
        return [
            Timing(**common, repeat=repeat, order_index=repeat, time_s=seconds, status="ok",
                   samples=150 * (case.epochs or 1), n_samples=150, n_features=4)
            for repeat in each.repeats
        ]  # fmt: skip


@pytest.fixture
def unmeasured(monkeypatch):
    stand_in = Unmeasured()
    monkeypatch.setattr(session, "perform", stand_in.perform)
    return stand_in
