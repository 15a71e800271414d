"""One fit to all rows of a large file, of which the cases measure a sample."""

from time import perf_counter

from fastlogit.benchmark.data_file.description import DataFile
from fastlogit.benchmark.text import format_duration


def stream(file: DataFile) -> str:
    """Fit LogisticRegression to the whole file, read part by part; say what that takes."""
    import fastlogit

    try:
        from pyarrow.parquet import read_schema

        left_out = {file.target, *file.left_out}
        columns = [name for name in read_schema(file.path).names if name not in left_out]
        began = perf_counter()
        source = fastlogit.scan(file.path, target=file.target, columns=columns)
        fitted = fastlogit.LogisticRegression().fit(source)
    except (ImportError, OSError, TypeError, ValueError) as error:
        return f"No fit to the whole file: {error}"
    seconds, rows = format_duration(perf_counter() - began), f"{source.n_rows:,} rows"
    return f"One streamed fit, fastlogit: {seconds} for all {rows}, in {fitted.n_passes_} passes"
