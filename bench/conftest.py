"""What the suites share: their cases, verified contenders, and the files they write."""

import csv
import secrets
import time
from pathlib import Path

import pytest
import threadpoolctl

from fastlogit.benchmark.cases import DTYPES, Grid
from fastlogit.benchmark.contenders import BASELINE, CONTENDERS
from fastlogit.benchmark.problem import build
from fastlogit.benchmark.summary import SUMMARY_COLUMNS
from fastlogit.benchmark.verify import compare, reference_outcome

COLUMNS = ("suite", *SUMMARY_COLUMNS)

GRID = Grid(dtypes=DTYPES, batch_sizes=(32, 256), epochs=1)
# The package's own: with the peers' compiling the suites would take many times as long.
OWN = [CONTENDERS[name] for name in ("numpy", "numba")]


def pytest_addoption(parser):
    parser.addoption(
        "--bench-out",
        type=Path,
        default=Path("results") / "pytest-benchmark",
        help="Where a directory with benchmark.json and summary.csv is made.",
    )


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        cases = GRID.cases()
        metafunc.parametrize("case", cases, ids=[case.cell_id for case in cases])
        metafunc.parametrize("kind", OWN, ids=[kind.name for kind in OWN])


def pytest_configure(config):
    # Set before pytest-benchmark reads it; the directory is made only when there is a result.
    config.bench_directory = config.getoption("bench_out") / (
        time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
    )
    if config.option.benchmark_json is None and not config.option.collectonly:
        config.option.benchmark_json = config.bench_directory / "benchmark.json"


def pytest_benchmark_update_json(config, output_json):
    config.bench_directory.mkdir(parents=True, exist_ok=True)  # called once a kind of output
    rows = [_row(entry) for entry in output_json["benchmarks"]]
    medians = {_cell(row): row["median_s"] for row in rows if row["impl"] == BASELINE}
    with (config.bench_directory / "summary.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            if row["impl"] != BASELINE and _cell(row) in medians:
                row["speedup_vs_numpy"] = medians[_cell(row)] / row["median_s"]
            writer.writerow(row)


def pytest_terminal_summary(terminalreporter, config):
    if config.bench_directory.exists():
        terminalreporter.write_line(f"wrote {config.bench_directory}")


def _row(entry):
    info, stats = entry["extra_info"], entry["stats"]
    names = ("suite", "model", "dataset", "impl", "division", "solver", "batch_size", "dtype")
    return {name: info[name] for name in (*names, "threads")} | {
        "n": stats["rounds"],
        "median_s": stats["median"],
        "q1_s": stats["q1"],
        "q3_s": stats["q3"],
        "samples_per_s": info["samples"] / stats["median"],
        "gflop_s": info["flops"] / stats["median"] / 1e9,
        "verified": "true",  # a contender that disagrees never comes to be timed
        "status": "ok",
    }


def _cell(row):
    return tuple(row[name] for name in ("suite", "model", "dataset", "batch_size", "dtype"))


@pytest.fixture
def time_training(benchmark):
    """Verify a contender on a problem, then let pytest-benchmark time its runs."""

    def measure(suite, kind, problem):
        case = problem.case
        contender, reference = kind(), reference_outcome(problem)
        contender.prepare(problem)

        def verify():
            agreement = compare(contender.result(), reference, case.dtype)
            assert agreement.holds, str(agreement)

        with threadpoolctl.threadpool_limits(case.threads):
            contender.run()
            verify()
        benchmark.group = f"{suite} {case.cell_id}"
        benchmark.extra_info.update(
            {name: getattr(case, name) for name in ("model", "dataset", "solver", "dtype")},
            suite=suite,
            impl=kind.name,
            division=kind.division,
            batch_size=case.batch_size,
            threads=case.threads,
            samples=problem.samples,
            flops=problem.flops,
        )
        with threadpoolctl.threadpool_limits(case.threads):
            compilations = contender.compilations()
            benchmark(contender.run)
            assert contender.compilations() == compilations
        verify()

    return measure


@pytest.fixture
def problem(case):
    return build(case)
