"""``fastlogit bench run``: verify that the implementations agree, then time them side by side."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from typer import Option

from fastlogit.benchmark.text import format_duration, format_estimate, pluralize
from fastlogit.cli import options
from fastlogit.cli.ending import CASES_FAILED, INTERRUPTED, consoles, exit_code, refuse
from fastlogit.cli.show import AllCases, print_run

if TYPE_CHECKING:
    from fastlogit.benchmark.session import Round
    from fastlogit.benchmark.storage import RunFiles

RUN_EXAMPLES = """\b
Examples:
  fastlogit bench run             the three answers, within five minutes
  fastlogit bench run --quick     two data sets, within a minute
  fastlogit bench run --data my.csv --target species
  fastlogit bench run --question same-estimator --solver newton-cholesky
  fastlogit bench run -m softmax -d digits -d classification-9000x64x10
  fastlogit bench run --dry-run   what would be measured, and how long
  fastlogit bench run --resume    finish a run that was interrupted
\b
Exit codes: 0 ok, 2 wrong command, 3 failed verification, 4 failed or not
written, 124 timeout, 130 Ctrl-C; of several the first of 130, 3, 124, 4."""


@options.with_selection("run")
def bench_run(
    selection: options.Selection,
    repeats: Annotated[int | None, Option(
        metavar="N", min=1, help="Timed repeats. [6, with --quick 4]")] = None,
    dry_run: Annotated[bool, Option(
        "--dry-run", help="Only print what would be measured, and how long it takes.")] = False,
    resume: Annotated[bool, Option(
        "--resume/--no-resume", help="Finish the newest unfinished run that measures the same.",
        show_default=False)] = False,
    out: options.Out = Path("results"),
    every: AllCases = False,
    as_json: options.AsJson = False,
    no_progress: Annotated[bool, Option("--no-progress", help="Print no progress.")] = False,
) -> None:  # fmt: skip
    """Measure, print the answers and keep the figures in files.

    Three questions: how much faster is fastlogit's estimator than scikit-learn's of the same name;
    how much faster are the same steps of training than in NumPy, JAX and PyTorch; and which solver
    of any library is the first to reach the same loss. Options such as -m, -d, -i and --seed can
    be given several times.
    """
    from fastlogit.benchmark import session
    from fastlogit.benchmark.plan import Plan
    from fastlogit.benchmark.progress import RunProgress

    _, say = consoles()
    repeats = repeats or (4 if selection.quick else 6)
    what = selection.grid.cases(), selection.implementations, repeats
    rounds = session.schedule(*what)
    if dry_run:
        _print_plan(rounds, repeats, as_json=as_json)
        return
    _warn(say)
    files = _open_files(say, out, session.describe(selection.grid, *what[1:]), resume=resume)
    try:
        with RunProgress(say, Plan(rounds, files.parts), enabled=not no_progress) as shown:
            run = session.perform(files, *what, timeout=selection.timeout, observer=shown)
    except KeyboardInterrupt:
        _end_early(say, "interrupted", files.directory, INTERRUPTED)
    except OSError as error:
        trouble = f"cannot write {error.filename}: {error.strerror}" if error.filename else error
        _end_early(say, f"Error: {trouble}", files.directory, CASES_FAILED)
    say.print(f"wrote {run.directory}", soft_wrap=True)
    print_run(run, every=every, as_json=as_json)
    outcomes = run.timings[["status", "error"]].astype(str)
    raise typer.Exit(exit_code(outcomes.itertuples(index=False, name=None)))


def _warn(say: Console) -> None:
    """Name what spoils figures before they are measured."""
    from fastlogit.benchmark import machine

    load, cores = machine.load_average(), machine.usable_cores()
    if load and machine.is_busy(load, cores):
        say.print(
            f"warning: other programs are using this machine (load {load[0]:.1f} in the last "
            f"minute, {pluralize(cores, 'core')}); timings will be too long and uncertain"
        )
    if settings := ", ".join(f"{name}={value}" for name, value in machine.environment().items()):
        say.print(f"note: the environment sets {settings}")


def _open_files(say: Console, out: Path, facts: dict[str, object], *, resume: bool) -> "RunFiles":
    """Open the run's files, before any work that would be lost without them."""
    from fastlogit.benchmark.storage import new_run, resume_run

    try:
        if not resume:
            return new_run(out, facts)
        files, message = resume_run(out, facts)
        say.print(message, soft_wrap=True)
        return files or new_run(out, facts)
    except OSError as error:
        reason = "it is a file" if out.is_file() else error.strerror or error
        refuse(say, f"cannot write a run into {out}: {reason}")


def _end_early(say: Console, trouble: str, directory: Path, code: int) -> NoReturn:
    """Print where the results so far are and how to finish the run, and exit."""
    words = [word for word in sys.argv[1:] if word not in ("--resume", "--no-resume")]
    say.print(f"{trouble}; what was measured is in {directory}", soft_wrap=True)
    say.print(f"next: {shlex.join(['fastlogit', *words, '--resume'])}", soft_wrap=True)
    raise typer.Exit(code)


def _print_plan(rounds: "list[Round]", repeats: int, *, as_json: bool) -> None:
    from fastlogit.benchmark.plan import Plan

    plan, rows = Plan(rounds), []
    for case, implementations in rounds[0].cases if rounds else ():
        seconds = sum(part for (case_id, _), part in plan.left.items() if case_id == case.case_id)
        names = list(dict.fromkeys(each.name for each in implementations))
        rows.append({"case_id": case.case_id, "implementations": names, "seconds": seconds})
        if not as_json:
            print(f"{format_duration(seconds):>7}  {case.case_id}: {', '.join(names)}")
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    total = f"{pluralize(len(rows), 'case')}, {pluralize(repeats, 'repeat')}"
    print(f"{total}: {format_estimate(plan.seconds_left())}; nothing was measured")
