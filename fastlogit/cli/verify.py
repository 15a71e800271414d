"""``fastlogit bench verify``: whether the implementations agree, without timing them."""

import json
from collections import Counter
from typing import TYPE_CHECKING

import typer

from fastlogit.benchmark.text import display_name
from fastlogit.cli import options
from fastlogit.cli.ending import INTERRUPTED, consoles, exit_code

if TYPE_CHECKING:
    from fastlogit.benchmark.verification import VerificationResult

VERIFY_EXAMPLES = """\b
Examples:
  fastlogit bench verify --quick  two data sets
  fastlogit bench verify -i all   all data sets, whatever is installed
\b
Exit codes: 0 all agree, 2 wrong command, 3 one does not agree, 4 one failed,
124 timeout, 130 Ctrl-C; of several the first of 130, 3, 124, 4."""


@options.with_selection("verify", "target_loss")
def bench_verify(selection: options.Selection, as_json: options.AsJson = False) -> None:
    """Check that implementations give equal results, without timing them."""
    from fastlogit.benchmark.session import verify

    out, say = consoles()
    results: list[VerificationResult] = []
    interrupted, cases = False, selection.grid.cases()
    try:
        for result in verify(cases, selection.implementations, timeout=selection.timeout):
            if not as_json and result.case_id not in {each.case_id for each in results[-1:]}:
                out.print(result.case_id, soft_wrap=True)
            results.append(result)
            if not as_json:
                name = display_name(result.implementation)
                out.print(f"  {name:<25} {_describe(result)}", soft_wrap=not out.is_terminal)
    except KeyboardInterrupt:
        interrupted = True
        say.print("interrupted")
    if as_json:
        rows = [vars(each).items() for each in results]
        # JSON has no NaN.
        print(json.dumps([{k: v if v == v else None for k, v in row} for row in rows], indent=2))
    else:
        counts = Counter(_describe(each).partition(":")[0] for each in results)
        out.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    code = exit_code((each.status, each.error or "") for each in results)
    raise typer.Exit(INTERRUPTED if interrupted else code)


def _describe(each: "VerificationResult") -> str:
    if each.status != "ok":
        return f"{each.status}: {each.error}"
    if each.tolerance is None:
        return "not compared: another algorithm"
    limit = f"limit {each.tolerance:g}"
    if each.params_error is None:
        return f"agree: steps of its own, loss higher by {each.loss_error:.0e} ({limit})"
    errors = f"parameters {each.params_error:.0e}, loss {each.loss_error:.0e}"
    return f"agree: relative errors {errors} ({limit})"
