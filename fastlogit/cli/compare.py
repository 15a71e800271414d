"""``fastlogit bench compare`` and ``check``: what changed between two stored runs."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from typer import Option

from fastlogit.benchmark.text import format_duration
from fastlogit.cli import completion, ending, options

if TYPE_CHECKING:
    from fastlogit.benchmark.compare import Comparison

CHECK_EXAMPLES = """\b
Examples:
  fastlogit bench check reference latest --max-slowdown 10%
  fastlogit bench check reference latest --fail-on-inconclusive
\b
Exit codes: 0 no regression found, 1 regression, 2 wrong command, 3 failed
verification in NEW, 4 failed in NEW, 5 inconclusive, with
--fail-on-inconclusive. Wrong results weigh more than slow ones."""
_STYLES = {"slower": "red", "faster": "green", "inconclusive": "yellow"}


def _run(name: str, what: str) -> Any:
    return typer.Argument(
        metavar=name, show_default=False, autocompletion=completion.complete_run,
        help=f"The run {what}: its directory, its id, the beginning of its id, or 'latest'.",
    )  # fmt: skip


Base = Annotated[str, _run("BASE", "before")]
New = Annotated[str, _run("NEW", "after")]
Slowdown = Annotated[
    str, Option("--max-slowdown", metavar="SHARE", help="How much slower is allowed: 10% or 0.1.")
]


def bench_compare(
    base: Base, new: New, max_slowdown: Slowdown = "5%", out: options.Out = Path("results"),
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Show what became slower or faster from one run to another."""
    _show(_compare(base, new, max_slowdown, out), as_json=as_json, every=True)


def bench_check(
    base: Base, new: New, max_slowdown: Slowdown = "5%",
    fail_on_inconclusive: Annotated[bool, Option(
        "--fail-on-inconclusive", help="Exit with code 5 if the noise of the runs leaves room for "
        "such a slowdown.")] = False,
    out: options.Out = Path("results"), as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Fail if a run is slower than another by more than is allowed, beyond the noise of both."""
    compared = _compare(base, new, max_slowdown, out)
    if compared.machine:
        ending.refuse(
            ending.consoles()[1],
            f"the runs are of different machines ({'; '.join(compared.machine)}); "
            "'fastlogit bench compare' shows how their ratios to the baselines differ",
        )
    _show(compared, as_json=as_json, every=False)
    codes = {
        "failed-verification": ending.VERIFICATION_FAILED,
        "regression": ending.REGRESSION,
        "failed": ending.CASES_FAILED,
        "inconclusive": ending.INCONCLUSIVE if fail_on_inconclusive else 0,
    }
    raise typer.Exit(codes.get(compared.verdict, 0))


def parse_slowdown(text: str) -> float:
    """Return a share such as ``"10%"`` or ``"0.1"`` as a number; 1 and more need the sign."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*", text)
    if match is None or (not match[2] and float(match[1]) >= 1):
        raise ValueError(
            f"--max-slowdown is {text!r}; it must be a share of the time such as 10% or 0.1"
        )
    return float(match[1]) / (100 if match[2] else 1)


def _compare(base: str, new: str, max_slowdown: str, out: Path) -> "Comparison":
    try:
        allowed = parse_slowdown(max_slowdown)
        runs = [options.read_stored(name, out) for name in (base, new)]
        from fastlogit.benchmark.compare import compare

        return compare(*runs, max_slowdown=allowed)
    except ValueError as error:
        ending.refuse(ending.consoles()[1], str(error))


def _show(compared: "Comparison", *, as_json: bool, every: bool) -> None:
    models, cases = compared.models, compared.cases
    if as_json:
        tables = {"models": models.to_dict("records"), "cases": cases.to_dict("records")}
        content = vars(compared) | tables | {"verdict": compared.verdict}
        print(json.dumps(content, indent=2, allow_nan=False))
        return
    out, _ = ending.consoles()
    lines: list[str | Text] = [f"different machine: {note}" for note in compared.machine]
    lines += [f"different: {note}" for note in compared.notes]
    for case_id, name, status, error in compared.failures:
        lines.append(f"{status} in NEW only: {name} in {case_id}: {error}")
    lines += ["changes of the time beside the baseline's, with 95 % intervals:"] * every
    for rows in (cases if every else cases[cases["verdict"] == "slower"], models):
        by_change = rows.sort_values("slowdown", ascending=False)
        lines += [_line(row) for row in by_change.to_dict("records")]
    for line in lines:
        out.print(line, soft_wrap=True)
    for line in _findings(compared):
        out.print(line)


def _line(row: dict[Any, Any]) -> Text:
    """Return a row in a line, its name last, since that may be long."""
    change, low, high = (f"{row[name] - 1:+.0%}" for name in ("slowdown", "low", "high"))
    if "case_id" in row:
        times = " to ".join(format_duration(row[name]) for name in ("base_s", "new_s"))
        name = f"{row['case_id']} by {row['implementation']}, {times}"
    else:
        name = f"{row['model']} {row['task']} by {row['implementation']}, {row['cases']} cases"
    verdict = (f"{row['verdict']:<12}", _STYLES.get(row["verdict"], ""))
    return Text.assemble(verdict, f"{change:>6}  {f'{low} to {high}':<14}  {name}")


def _findings(compared: "Comparison") -> list[str]:
    """Return the outcome in words, the verdict last."""
    models, cases, verdict = compared.models, compared.cases, compared.verdict
    lines = []
    if len(cases):
        # Most cases are known as well as this one, and a change must stand out of the interval.
        least = (1 + compared.max_slowdown) * (cases["high"] / cases["slowdown"]).median()
        slower = (cases["verdict"] == "slower").sum()
        lines.append(
            f"single cases: {slower} of {len(cases)} slower; one alone is found to be slower from "
            f"about {least:.1f}× its time"
        )
    counts = [f"{n} {name}" for name, n in models["verdict"].value_counts().items()]
    judged = ", ".join(counts) or "none, since none has two cases"
    lines.append(f"models and tasks, {100 * compared.max_slowdown:.3g}% allowed: {judged}")
    if verdict == "inconclusive" and not len(models):
        verdict += ": a model is judged by two cases or more, which more data sets (-d) give it"
    elif verdict == "inconclusive":
        unclear = models[models["verdict"] == "inconclusive"]
        verdict += f" for {len(unclear)} of {len(models)} models and tasks"
        if len(unclear):
            verdict += f", which may be up to {unclear['high'].max() - 1:.0%} slower"
        verdict += "; no regression was found. More --repeats, more data sets or an idle machine "
        verdict += "narrow the intervals."
    return [*lines, f"verdict: {verdict}"]
