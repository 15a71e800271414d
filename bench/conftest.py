"""What the suites share: cases, verified implementations, and the files that are written."""

import csv
import os
import secrets
import time
from pathlib import Path

import pytest
import threadpoolctl

from fastlogit.benchmark.case_runner import CaseRunner
from fastlogit.benchmark.cases import DTYPES, Grid
from fastlogit.benchmark.implementations import choose
from fastlogit.benchmark.schema import BASELINES
from fastlogit.kernels.codegen import waiting

os.environ[waiting.VARIABLE] = "wait"  # kernels are measured

COLUMNS = (
    "suite", "case_id", "comparison", "implementation", "version", "n", "median_s", "q1_s", "q3_s",
    "samples_per_s", "gflop_s", "speedup", "baseline",
)  # fmt: skip
# The package's own and the baselines: compiling the others would take many times as long.
OWN = ["fastlogit"]
AXES = {
    "same-steps": {"dtypes": DTYPES, "batch_sizes": (32, 256), "epochs": 1},
    "same-estimator": {},
}


def pytest_addoption(parser):
    parser.addoption(
        "--bench-out", type=Path, default=Path("results") / "pytest-benchmark",
        help="Where a directory with benchmark.json and summary.csv is made.",
    )  # fmt: skip


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        comparison = metafunc.module.COMPARISON
        cases = Grid(questions=(comparison,), **AXES[comparison]).cases()
        cases = [case for case in cases if case.task in ("train", "fit", "predict_proba")]
        metafunc.parametrize("case", cases, ids=[case.case_id for case in cases])
        chosen = choose(OWN, [comparison])
        metafunc.parametrize("implementation", chosen, ids=[each.name for each in chosen])


def pytest_configure(config):
    # Set before pytest-benchmark reads it; the directory is made only when there is a result.
    config.bench_directory = config.getoption("bench_out") / (
        time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
    )
    if config.option.benchmark_json is None and not config.option.collectonly:
        config.option.benchmark_json = config.bench_directory / "benchmark.json"


def pytest_benchmark_update_json(config, output_json):
    config.bench_directory.mkdir(parents=True, exist_ok=True)  # called once per output
    rows = [_row(entry) for entry in output_json["benchmarks"]]
    medians = {_key(row): row["median_s"] for row in rows}
    with (config.bench_directory / "summary.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            baseline = BASELINES[row["comparison"]]
            before = medians.get(_key(row, baseline))
            if row["implementation"] != baseline and before:
                row |= {"speedup": before / row["median_s"], "baseline": baseline}
            writer.writerow(row)


def pytest_terminal_summary(terminalreporter, config):
    if config.bench_directory.exists():
        terminalreporter.write_line(f"wrote {config.bench_directory}")


def _row(entry):
    info, stats = dict(entry["extra_info"]), entry["stats"]
    samples, flops = info.pop("samples"), info.pop("flops")
    return info | {
        "n": stats["rounds"], "median_s": stats["median"], "q1_s": stats["q1"],
        "q3_s": stats["q3"], "samples_per_s": samples / stats["median"],
        "gflop_s": flops and flops / stats["median"] / 1e9,
    }  # fmt: skip


def _key(row, implementation=None):
    return row["suite"], row["case_id"], implementation or row["implementation"]


@pytest.fixture
def measure(benchmark):
    """Verify an implementation in a case, have pytest-benchmark time its runs, and verify again."""

    def verify_and_time(suite, case, implementation, **options):
        runner = CaseRunner(case, [implementation], **options)
        runner.set_up(verify=True)
        (run,) = runner.runs
        assert run.status == "ok", run.error
        benchmark.group = f"{suite} {case.case_id}"
        benchmark.extra_info.update(
            suite=suite, case_id=case.case_id, comparison=implementation.comparison,
            implementation=implementation.name, version=run.version,
            samples=runner.problem.samples, flops=runner.problem.flops,
        )  # fmt: skip
        with threadpoolctl.threadpool_limits(case.threads):
            compilations = run.implementation.compilations()
            benchmark(run.implementation.run)
            assert run.implementation.compilations() == compilations
        run.judge(case, run.implementation.result(), runner.reference)
        assert run.status == "ok", run.error

    return verify_and_time
