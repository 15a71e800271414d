"""``fastlogit bench report``: a stored run as a page, and as the figures of README."""

import importlib.util
from pathlib import Path
from typing import Annotated

from typer import Option

from fastlogit.cli import options
from fastlogit.cli.ending import consoles, refuse

Open = Annotated[bool, Option("--open", help="Open the page in a browser.")]
Readme = Annotated[Path | None, Option(
    metavar="FILE", help="Also draw the run as speedup.svg, and write its figures into this "
    "Markdown file, between '<!-- table: ADDRESS -->' and '<!-- end of table -->'.")]  # fmt: skip


def bench_report(
    run: options.Run, out: options.Out = Path("results"), show: Open = False, readme: Readme = None
) -> None:
    """Write a run as one page that needs no network: report.html in its directory."""
    _, say = consoles()
    for module in ("vl_convert", "jinja2"):
        if importlib.util.find_spec(module) is None:
            refuse(say, f'the report needs {module}: pip install "fastlogit[report]"')
    stored = options.read_stored(run, out)
    from fastlogit.benchmark.report import page
    from fastlogit.benchmark.report import readme as figures
    from fastlogit.benchmark.storage import replace_file

    path = stored.directory / "report.html"
    try:
        page.write_page(stored, path)
        if readme is not None:
            text = figures.update(stored, readme.read_text(encoding="utf-8"))
            replace_file(stored.directory / figures.PICTURE, figures.picture(stored).encode())
            replace_file(readme, text.encode())
    except ValueError as error:
        refuse(say, str(error))
    except OSError as error:
        refuse(say, f"cannot read or write {error.filename}: {error.strerror or error}")
    print(path)
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
