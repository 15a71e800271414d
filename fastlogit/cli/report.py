"""``fastlogit bench report``: a stored run as a page, and as the README's tables and picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fastlogit.cli import options
from fastlogit.cli.ending import refuse

__all__ = ["REPORT_EXAMPLES", "bench_report"]

REPORT_EXAMPLES = """\b
Examples:
  fastlogit bench report latest           the youngest run, into its report.html
  fastlogit bench report results/reference --readme README.md"""


def bench_report(
    run: options.Run,
    out: options.Out = Path("results"),
    readme: Annotated[
        Path | None,
        typer.Option(
            help="Also write the run's tables and picture into this Markdown file, between the "
            "lines '<!-- table: ... -->' and '<!-- end of table -->'.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run's page, report.html in its directory: one file, to be read without a network."""
    say = Console(stderr=True, highlight=False)
    for module in ("matplotlib", "jinja2"):
        if importlib.util.find_spec(module) is None:
            refuse(say, f'a report needs {module}: pip install "fastlogit[bench]"')
    say.print("fastlogit bench: drawing", soft_wrap=True)
    from fastlogit.benchmark import report
    from fastlogit.benchmark.advice import advice
    from fastlogit.benchmark.runs import load_run

    written = []
    try:
        stored = load_run(run, out)
        written.append(report.write_page(stored, advice(stored)))
        if readme is not None:
            written += [report.write_readme(readme, stored), readme]
    except ValueError as error:
        refuse(say, str(error))
    except OSError as error:
        refuse(say, f"cannot write {error.filename}: {error.strerror or error}")
    for path in written:
        print(path)
