"""The files of a run, in a directory of its own that is never overwritten.

What a round measures of a case is a part: a file, on the disk before the next part begins. At the
end the parts become the run's tables; a run cut short keeps them, to be resumed.
"""

import io
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlogit.benchmark import schema
from fastlogit.benchmark.schema import SCHEMA_VERSION, CurvePoint, Timing

if TYPE_CHECKING:
    import pandas as pd

# What must be the same for parts of before and after to belong to one run.
_SAME = ("config", "data", "git", "packages", "cpu", "memory_bytes", "environment")
# What is measured in the first round alone and holds for all repeats of an implementation.
_OF_FIRST_ROUND = ("compile_s", "prep_s", "rss_peak_bytes")
_CSV: Any = {"index": False, "lineterminator": "\n"}
Facts = dict[str, Any]


class RunFiles(AbstractContextManager["RunFiles", None]):
    """The directory of one run, open for writing; a context manager that keeps other writers out.

    `facts` is what run.json says, `parts` the cases and rounds that need no measuring any more.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.run_id = directory, directory.name
        if sys.platform != "win32":  # where a directory cannot be opened
            import fcntl

            self._lock = os.open(directory, os.O_RDONLY)  # closed by a death too
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:  # a file system without locks is written without
                if isinstance(error, BlockingIOError):
                    raise BlockingIOError("another process is measuring it") from None
        self.facts = _read_json(directory / "run.json")
        self._parts = [_read_json(path) for path in sorted(directory.glob("parts/*.json"))]
        self.parts = {(part["case_id"], part["round"]) for part in self._parts}

    def __exit__(self, *error: object) -> None:
        """Let other writers in."""
        if sys.platform != "win32":
            os.close(self._lock)

    def part_rows(self, case_id: str) -> list[Timing]:
        """Return what the rounds so far have measured of a case."""
        own = [part for part in self._parts if part["case_id"] == case_id]
        return [Timing(**row) for part in own for row in part["timings"]]

    def write_part(
        self, case_id: str, round: int,  # noqa: A002
        timings: Sequence[Timing], curve: Sequence[CurvePoint], facts: dict[str, float],
    ) -> None:  # fmt: skip
        """Write a part to the disk; run.json will have the least ``facts[name]`` of each case."""
        part: Facts = {"schema_version": SCHEMA_VERSION, "case_id": case_id, "round": round}
        part["timings"] = [asdict(row) | {"run_id": self.run_id} for row in timings]
        part |= {"curve": [asdict(point) for point in curve], "facts": facts}
        folder = self.directory / "parts"
        folder.mkdir(exist_ok=True)
        number = max((int(each.stem) for each in folder.glob("*.json")), default=-1) + 1
        replace_file(path := folder / f"{number:06}.json", _json(part))
        self._parts.append(_read_json(path))
        self.parts.add((case_id, round))

    def note(self, **facts: Any) -> None:
        """Add to run.json."""
        replace_file(self.directory / "run.json", _json(self.facts | facts))
        self.facts |= facts

    def finish(self, status: str) -> None:
        """Note that the run is interrupted, failed or complete; then its tables are written."""
        if status != "complete":
            self.note(status=status)
            return
        timings, curves, facts = _assemble(self._parts)
        summary = read_run(self.directory).summary.to_csv(**_CSV)
        for name, text in {"timings": timings, "curves": curves, "summary": summary}.items():
            replace_file(self.directory / f"{name}.csv", text.encode())
        self.note(**facts, status=status)  # only from here on do the tables count
        shutil.rmtree(self.directory / "parts", ignore_errors=True)


def new_run(out: Path, facts: Facts) -> RunFiles:
    """Begin a run with these facts, in a new directory in `out`."""
    run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    own = {"schema_version": SCHEMA_VERSION, "run_id": run_id, "status": "running"}
    (out / run_id).mkdir(parents=True)
    replace_file(out / run_id / "run.json", _json(own | facts))
    return RunFiles(out / run_id)


def resume_run(out: Path, facts: Facts) -> tuple[RunFiles | None, str]:
    """Open the newest unfinished run of the same facts in `out`; return it, and why or why not."""
    now, why = json.loads(_json(facts)), []
    for path in sorted(out.glob("*/run.json"), reverse=True):
        try:
            _read_json(path)  # ahead of the lock, which is not for other versions' runs
            files = RunFiles(directory := path.parent)
        except (OSError, ValueError) as error:
            why.append(f"{path.parent} is not resumed: {error}")
            continue
        differences = [name for name in _SAME if files.facts.get(name) != now.get(name)]
        if files.facts.get("status") == "complete":  # though killed before its parts were removed
            shutil.rmtree(directory / "parts", ignore_errors=True)
        elif differences:
            why.append(f"{directory} is not resumed: it differs in {', '.join(differences)}")
        else:
            files.note(status="running")
            done = len({case_id for case_id, _ in files.parts})
            return files, f"resuming {directory}; cases with results: {done}"
        files.__exit__()
    return None, why[0] if why else f"no unfinished run in {out}"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, on the disk before it replaces an older one; an OSError names it."""
    scratch = path.with_name(path.name + ".new")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _json(value: Facts) -> bytes:
    # NumPy's scalars as numbers, paths as text.
    text = json.dumps(value, indent=2, default=lambda it: getattr(it, "item", it.__str__)())
    return f"{text}\n".encode()


def _read_json(path: Path) -> Facts:
    try:
        facts = dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name} is damaged ({error})") from error
    if (version := facts.get("schema_version")) != SCHEMA_VERSION:
        raise ValueError(f"{path.name} has schema version {version}, not {SCHEMA_VERSION}")
    return facts


def _assemble(parts: list[Facts]) -> tuple[str, str, Facts]:
    """Return the texts of timings.csv and curves.csv, and the facts, that parts make."""
    import pandas as pd

    key = itemgetter("case_id", "implementation")
    groups: dict[Any, list[Facts]] = {}
    facts: dict[str, dict[str, float]] = {}
    parts = sorted(parts, key=itemgetter("round"))
    for part in parts:
        for row in part["timings"]:
            groups.setdefault(key(row), []).append(row)
        for name, value in part["facts"].items():
            known = facts.setdefault(name, {})
            known[part["case_id"]] = min(value, known.get(part["case_id"], value))
    rows = []
    for own in groups.values():
        # Of what failed verification in any round no time counts, and of what failed no curve.
        wrong = [row for row in own if row["status"] == "failed-verification"]
        first = {name: own[0][name] for name in _OF_FIRST_ROUND}
        rows += wrong[:1] or [row | first for row in own]
    failed = {key(row) for row in rows if row["status"] != "ok"}
    points = [each for part in parts for each in part["curve"] if key(each) not in failed]
    # As objects whole numbers stay whole where others are missing.
    timings = pd.DataFrame(rows, columns=list(schema.TIMING_COLUMNS), dtype=object)
    curves = pd.DataFrame(points, columns=list(schema.CURVE_COLUMNS), dtype=object)
    return timings.to_csv(**_CSV), curves.to_csv(**_CSV), facts


@dataclass(frozen=True)
class StoredRun:
    """A run: run.json and its tables, or what these would be if the run had ended now."""

    directory: Path
    facts: Facts
    timings: "pd.DataFrame"
    curves: "pd.DataFrame"
    summary: "pd.DataFrame"


def read_run(directory: Path) -> StoredRun:
    """Read a run; a file that is missing, damaged or of another version is a ValueError."""
    from fastlogit.benchmark.summary import summarise

    tables: list[Any] = [directory / "timings.csv", directory / "curves.csv"]
    try:
        facts = _read_json(directory / "run.json")
        if facts.get("status") != "complete":
            parts = [_read_json(path) for path in sorted(directory.glob("parts/*.json"))]
            *texts, found = _assemble(parts)
            tables, facts = [io.StringIO(text) for text in texts], facts | found
        timings, curves = _frame(tables[0], Timing), _frame(tables[1], CurvePoint)
    except (OSError, ValueError) as error:
        message = f"cannot read the run {directory}: {error}; run the benchmark again"
        raise ValueError(" ".join(message.split())) from error
    return StoredRun(directory, facts, timings, curves, summarise(timings, curves, facts))


def _frame(source: Any, kind: type[Timing | CurvePoint]) -> "pd.DataFrame":
    import pandas as pd

    types = {field.name: field.type for field in fields(kind)}
    text = {name: str for name, type_ in types.items() if type_ not in (int, int | None)}
    frame = pd.read_csv(source, usecols=[*types], dtype=text, keep_default_na=False, na_values=[""])
    # From text to the last digit, which read_csv does not do in all versions; whole numbers stay
    # whole where some are missing.
    target: dict[Any, str] = {float: "float64", float | None: "float64", int | None: "Int64"}
    return frame.astype({name: target[types[name]] for name in types if types[name] in target})


def find_run(name: str, out: Path) -> Path:
    """Return a run's directory by its path, its id in `out`, the beginning of one, or "latest"."""
    for directory in (out / name, Path(name)):
        if (directory / "run.json").is_file():
            return directory
    known = sorted(path.parent.name for path in out.glob("*/run.json"))
    matches = [each for each in known if name and each.startswith(name)]
    if name == "latest":  # by the time in its id: not a copy by another name, such as a reference
        matches = [each for each in known if each[0].isdigit()][-1:]
    if len(matches) == 1:
        return out / matches[0]
    kind = f"the beginning of {len(matches)} runs" if matches else "no run"
    there = ", ".join(matches or known) or "none"
    raise ValueError(f"{name!r} is {kind}; in {str(out)!r} there are: {there}")
