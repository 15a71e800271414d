"""Text files: what DuckDB and the first rows show, as arguments of `pandas.read_csv`."""

import codecs
import csv
import gzip
import io
import itertools
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlogit.benchmark.data_file.description import Request, require
from fastlogit.names import listed

if TYPE_CHECKING:
    import pandas as pd

Arguments = dict[str, Any]
# Texts for a missing value, where None is not one.
MISSING = ("", "#N/A", "<NA>", "N/A", "n/a", "NA", "NaN", "nan", "NULL", "null")

# The sniffer sees so many lines, and of long ones a few.
_MOST_LINES, _FEW_LINES, _MANY_CHARACTERS = 1000, 5, 1_000_000
_COMMA_NUMBER = r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][-+]?\d+)?"
_GROUPED_NUMBER = r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"
_NUMBER = r"[-+]?\d+(?:\.\d*)?"


def detect(request: Request) -> tuple[Arguments, list[str]]:
    """Return the arguments that read a text file, and what was detected in words."""
    path, options = request.path, request.options
    try:
        encoding, lines = _decoded(path, options.encoding)
        arguments, findings = _sniff(request, lines)
        given = {"na_values": options.na, "decimal": options.decimal, "low_memory": False}
        arguments |= {key: value for key, value in given.items() if value not in (None, ())}
        arguments |= {"encoding": encoding} if encoding != "utf-8" else {}
        if not options.decimal:
            frame = read_frame(path, nrows=len(lines), **arguments)
            arguments |= _marks(frame, arguments.get("sep", ","))
    except (UnicodeError, LookupError) as error:
        text = f"{path.name} is not text in its encoding ({error}). To name another one"
        raise request.refusal(text, "--encoding", "latin-1") from error
    marked = [key for key in ("decimal", "thousands", "encoding") if key in arguments]
    return arguments, findings + [f"{key}: {arguments[key]!r}" for key in marked]


def read_frame(path: Path, **arguments: Any) -> "pd.DataFrame":
    """Read a text file by pandas; without a header its columns are column0, column1, …."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(path, **arguments)
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f"{path.name} is not a table with the delimiter {arguments.get('sep', ',')!r}: "
            f"{str(error).strip()}; correct that line, or give another delimiter with --sep"
        ) from error
    frame = frame.add_prefix("column") if "header" in arguments else frame
    return frame.reset_index(drop=True).copy()  # of one piece: thousands of columns take seconds


def _decoded(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    """Return the encoding, and the first lines; what is not UTF-8 is what spreadsheets write."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        content = stream.read()
    if encoding is None:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if utf16 else "utf-8"
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            encoding = "cp1252"
    text = content.decode(encoding).removeprefix("\ufeff")
    if not text.strip():
        raise ValueError(f"{path.name} is empty")
    lines = list(itertools.islice(io.StringIO(text, newline=""), _MOST_LINES))
    return encoding, lines[: max(_FEW_LINES, _MANY_CHARACTERS // max(map(len, lines)))]


def _sniff(request: Request, lines: list[str]) -> tuple[Arguments, list[str]]:
    """Return delimiter, comments, skipped lines and header, as arguments and in words."""
    given, path = request.options.header, request.path
    named = {"\\t": "\t", "tab": "\t"}.get(request.options.sep or "", request.options.sep)
    if named is not None and len(named) != 1:
        raise ValueError(f"--sep {named!r} must be one character, or 'tab'")
    sep, comment, skip, header, types = _duckdb_sniff(path, lines, named, given)
    likely = named or _likely_delimiter(lines, sep, skip, len(types))
    if likely != sep:
        sep, comment, skip, header, types = _duckdb_sniff(path, lines, likely, given)
    for i, line in enumerate(lines[:skip]):
        missing = len(types) - 1 - line.count(sep)
        # A line of as many fields is no title; in R's files the column of row names has no name.
        if not line.startswith(("#", "sep=")) and (not missing or (missing == 1 and not header)):
            skip, header = i, given is not False
            break
    csv.field_size_limit(2**31 - 1)
    first, *rest = filter(None, csv.reader(lines[skip:], delimiter=sep))
    # A name that stands in its column as a value, too, is a value itself.
    again = [any(row[i : i + 1] == [name] for row in rest) for i, name in enumerate(first)]
    if given is None and set(types) == {"VARCHAR"} and 2 * sum(again) >= len(first):
        header = False
    arguments: Arguments = {} if sep == "," else {"sep": r"\s+" if sep == " " else sep}
    if sep != " " and len(first) > 1 and first[1].startswith(" "):
        arguments["skipinitialspace"] = True
    if not header:
        arguments["header"] = None
    elif rest and all(len(row) == len(first) + 1 and not row[-1] for row in rest):
        arguments["index_col"] = False  # every row but the first ends with a delimiter
    names = "names in the first line" if header else "no header: the columns are column0, …"
    findings = [f"delimiter {sep!r}, {names}"]
    if skip:
        arguments["skiprows"] = skip
        findings.append(f"skipped: {listed([repr(line.strip()) for line in lines[:skip]], 3)}")
    if comment != "(empty)":
        arguments["comment"] = comment
        findings.append(f"what follows {comment!r} is a comment")
    return arguments, findings


def _likely_delimiter(lines: list[str], sep: str, skip: int, n_columns: int) -> str:
    """Return what divides all lines evenly, as decimal commas may do, too, and even better."""
    full = [line for line in lines if line.strip()]
    even = [s for s in "\t;|" if s in full[0] and len({line.count(s) for line in full}) == 1]
    if n_columns > 1:
        return even[0] if even and sep == "," else sep
    return even[0] if even else max(",;\t| ", key=lines[min(skip, len(lines) - 1)].count)


def _duckdb_sniff(
    path: Path, lines: list[str], sep: str | None, header: bool | None
) -> tuple[str, str, int, bool, list[str]]:
    """Return delimiter, sign of comments, lines to skip, whether there is a header, and types."""
    duckdb = require("duckdb", f"reading {path.name}")
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        sample = Path(folder, "sample.csv")
        sample.write_bytes("".join(lines).encode())
        name, delimiter = (str(each).replace("'", "''") for each in (sample, sep))
        options = f"max_line_size={max(2_000_000, 8 * max(map(len, lines)))}"
        options += f", delim='{delimiter}'" if sep else ""
        options += "" if header is None else f", header={header}"
        what = "Delimiter, Comment, SkipRows, HasHeader, Columns"
        query = f"SELECT {what} FROM sniff_csv('{name}', {options})"  # noqa: S608
        try:
            *found, columns = connection.execute(query).fetchone()
        except duckdb.Error:  # rows of all lengths: pandas names the line
            return sep or ",", "(empty)", 0, header is not False, []
    return *found, [column["type"] for column in columns]


def _marks(frame: "pd.DataFrame", sep: str) -> Arguments:
    """Return the decimal mark and the thousands separator where they are not "." and none."""
    marks: Arguments = {}
    for name in frame.columns[[dtype.kind not in "biuf" for dtype in frame.dtypes]]:
        values = frame[name].dropna().astype(str)
        plain, commas, grouped = (
            values.str.fullmatch(kind) for kind in (_NUMBER, _COMMA_NUMBER, _GROUPED_NUMBER)
        )
        if sep == "," and grouped.any() and (grouped | plain).mean() > 0.5:
            marks["thousands"] = ","
        elif commas.any() and (commas | plain).mean() > 0.5:
            dots = values[commas].str.contains(".", regex=False).any()
            marks |= {"decimal": ","} | ({"thousands": "."} if dots else {})
    return {"decimal": ","} if marks == {"decimal": ",", "thousands": ","} else marks
