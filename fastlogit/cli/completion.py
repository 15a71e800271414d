"""What the shell completes beside the options."""

from pathlib import Path

import typer


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """List the runs in --out whose names begin so, the latest first."""
    out = Path(context.params.get("out") or "results")
    found = sorted((path.parent.name for path in out.glob("*/run.json")), reverse=True)
    return [name for name in ("latest", *found) if name.startswith(incomplete)]
