"""``fastlogit bench show``: the results of a stored run, as at the end of the run itself."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.text import Text
from typer import Option

from fastlogit.benchmark import text
from fastlogit.benchmark.schema import BASELINES, PRODUCT
from fastlogit.cli import options
from fastlogit.cli.ending import consoles

if TYPE_CHECKING:
    from fastlogit.benchmark.storage import StoredRun


AllCases = Annotated[bool, Option("--all", help="Print every case, before the summary.")]

_HEADINGS = {
    "same-estimator": "1. Same estimator, same arguments",
    "same-steps": "2. Same steps of mini-batch training, times per row",
    "any-algorithm": "3. Same loss by any algorithm, times to reach it",
}
_STYLES = {"inconclusive": "yellow", "faster": "green", "slower": "red"}
_FIGURES = (
    "median_s", "samples_per_s", "limit_fraction", "time_to_target_s",
    "speedup", "speedup_low", "speedup_high",
)  # fmt: skip


def bench_show(
    run: options.Run, out: options.Out = Path("results"), every: AllCases = False,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Show the answers of a stored run, or with --all every case."""
    print_run(options.read_stored(run, out), every=every, as_json=as_json)


def print_run(run: "StoredRun", *, every: bool, as_json: bool) -> None:
    """Print the advice on an own file, failures, the three answers and the next command."""
    from fastlogit.benchmark.advice import add_costs, advice_lines

    if as_json:
        print(run.summary.to_json(orient="records", indent=2))
        return
    out, say = consoles()
    if (status := run.facts.get("status")) != "complete":
        say.print(f"this run is not complete ({status}); the results so far:")
    if every:
        print_cases(out, run)
    if advice := run.facts.get("advice"):
        out.print("This program trains the model that suits the file:\n")
        out.print(f"{advice['source'].strip()}\n", soft_wrap=True)
        for line in advice_lines(add_costs(advice, run.summary)):
            out.print(line)
    elif error := run.facts.get("advice_error"):
        out.print(f"no advice on the file: {error}")
    for line in text.failure_lines(run.timings, every=every):
        out.print(line)
    print_summary(out, run)
    command = shlex.join(["fastlogit", "bench", "report", str(run.directory)])
    out.print(f"next: {command}", soft_wrap=True)


def print_summary(out: Console, run: "StoredRun") -> None:
    """Print the answers to the three questions, as far as the run has them."""
    from fastlogit.benchmark.report import answers

    pairs, tiny = answers.pair_up(run), answers.describe_cases(run)["tiny"]
    measured = run.summary[run.summary["status"] == "ok"].join(tiny, on="case_id")
    if measured.empty:
        out.print("nothing was measured")
    elif len(pairs):
        head = f"  {'geometric means':<26}{PRODUCT:>9}{'other':>9}  {PRODUCT} is"
        out.print(head, style="dim", soft_wrap=True)
    for comparison, heading in _HEADINGS.items():
        sets = measured[measured["comparison"] == comparison].groupby("dataset")["tiny"].all()
        if sets.empty:
            continue
        where = f"on {sets.index[0]}" if len(sets) == 1 else text.pluralize(len(sets), "data set")
        small = "tiny" if len(sets) == 1 else f"{sets.sum()} tiny"
        out.print(f"{heading}, {where}{f' ({small})' if sets.any() else ''}", style="bold")
        found = answers.cards(pairs, comparison)
        if not found and BASELINES[comparison]:
            out.print(f"  {PRODUCT} has no times; --all prints those of the others")
        for model, cards in found.items():
            if model:
                out.print(model)
            for card in cards:
                row = f"  {card['title']:<26}{card.get('ours', ''):>9}{card.get('theirs', ''):>9}  "
                words = _coloured(card.get("words", card["head"]))
                out.print(Text.assemble(row, words), soft_wrap=True)
        if comparison == "any-algorithm":
            out.print(f"first to reach the target loss: {answers.first_to_target(run)}")


def print_cases(out: Console, run: "StoredRun") -> None:
    """Print every case with what each implementation takes for it, question by question."""
    from fastlogit.benchmark.report.answers import describe_cases

    tiny = describe_cases(run)["tiny"]
    summary = run.summary.astype(dict.fromkeys(_FIGURES, float))
    for comparison, rows in summary.groupby("comparison", sort=False):
        width = 2 + max(map(len, rows["implementation"].map(text.display_name)))
        heads = f"{'time':>8}{'per row':>8}{'of limit':>9}{'to target':>10}"
        baseline = BASELINES[str(comparison)]
        against = f"  against {text.display_name(baseline)}" if baseline else ""
        out.print(f"{comparison:<{width}}{heads}{against}", style="dim", soft_wrap=True)
        for case_id, case in rows.groupby("case_id", sort=False):
            note = " (tiny: bound by overhead)" if tiny[case_id] else ""
            out.print(f"{case_id}{note}", style="bold", soft_wrap=True)
            for name, status, *figures in case[["implementation", "status", *_FIGURES]].to_numpy():
                line = f"  {text.display_name(name):<{width - 2}}"
                words = _figures(*figures) if status == "ok" else Text(f"  {status}")
                out.print(Text.assemble(line, words), soft_wrap=True)
        out.print()


def _figures(median: float, rate: float, limit: float, target: float, *speedup: float) -> Text:
    per_row = text.format_duration(1 / rate) if rate > 0 else ""
    share = f"{limit:.0%}" if limit >= 0 else ""
    to_target = text.format_duration(target) if target >= 0 else ""
    line = f"{text.format_duration(median):>8}{per_row:>8}{share:>9}{to_target:>10}  "
    return Text.assemble(line, _coloured(text.format_ratio(*speedup)) if speedup[0] > 0 else "")


def _coloured(words: str) -> Text:
    word = next((word for word in _STYLES if word in words), "")
    # The interval of what is inconclusive has no room in a line.
    return Text("inconclusive" if word == "inconclusive" else words, _STYLES.get(word, ""))
