"""Runs that look as if they had been measured, for the tests of what reads them."""

import dataclasses
import json

import numpy as np
import pandas as pd

from fastlogit.benchmark.cases import Grid, epoch_seconds, flops_per_sample, sizes
from fastlogit.benchmark.schema import (
    CURVE_COLUMNS,
    SCHEMA_VERSION,
    TIMING_COLUMNS,
    CurvePoint,
    Timing,
)
from fastlogit.models import MODELS

# A repeat's time over plain NumPy's, by implementation.
TRAINING = {"fastlogit": 0.05, "numpy": 1.0, "jax": 0.2, "torch": 2.0}
ANY_ALGORITHM = {"fastlogit-lbfgs": 0.06, "sklearn-lbfgs": 0.3, "sklearn-sgd": 1.5}
# Seconds of an estimator's tasks.
ESTIMATOR = {
    "fastlogit": {"fit": 1e-3, "predict_proba": 2e-5, "first-fit": 2.0, "cold-fit": 8.0},
    "scikit-learn": {"fit": 5e-3, "predict_proba": 6e-5, "first-fit": 1.2, "cold-fit": 1.2},
}
FACTS = {
    "schema_version": SCHEMA_VERSION,
    "run_id": "20261012-093000-abcd",
    "status": "complete",
    "command": ["fastlogit", "bench", "run"],
    "started": "2026-10-12T09:30:00Z",
    "finished": "2026-10-12T09:33:00Z",
    "config": {"repeats": 5, "repeats_per_round": 2},
    "data": None,
    "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
    "packages": {"python": "3.11.7", "fastlogit": "0.1.0", "numpy": "2.4.6", "numba": "0.68.1"},
    "cpu": {"name": "A CPU", "llvm_name": "znver5", "simd_bits": 512, "fma": True, "cores": 2},
    "memory_bytes": 25_000_000_000,
    "environment": {},
    "load_start": [0.1, 0.1, 0.1],
    "load_end": [1.0, 0.7, 0.3],
    "calibration": [
        {"threads": 1, "sgemm_gflop_s": 228.0, "dgemm_gflop_s": 97.0, "read_gb_s": 42.0}
    ],
    "thread_pools": [],
}


def synthetic_run(
    *, models=(), datasets=("iris", "digits"), questions=("same-estimator", "same-steps"),
    implementations=None, repeats=5, noise=0.03, seed=0, change=lambda timing: timing, **grid,
):  # fmt: skip
    """Return the facts, timings and curves of a run.

    `implementations` limits those of all questions, `change` sees every timing, and may return None
    to leave it out; all else goes to the grid.
    """
    questions = (*questions, "any-algorithm") if "same-steps" in questions else questions
    cases = Grid(questions=tuple(questions), models=models, datasets=datasets, **grid).cases()
    rng, timings, curves, facts = np.random.default_rng(seed), [], [], dict(FACTS)
    facts |= {"take_s": {}, "target_loss": {}}
    for case in cases:
        n, d, k = sizes(case.model, case.dataset)
        common = {
            "run_id": facts["run_id"], "case_id": case.case_id, "model": case.model,
            "dataset": case.dataset, "n_samples": n, "n_features": d, "n_hidden": case.n_hidden,
            "n_classes": k, "solver": case.solver, "batch_size": case.batch_size,
            "dtype": case.dtype, "threads": case.threads, "epochs": case.epochs, "seed": case.seed,
            "version": "1.0", "status": "ok",
        }  # fmt: skip
        for comparison, name, seconds in _participants(case, (n, d, k)):
            if implementations is not None and name not in implementations:
                continue
            count = min(repeats, 3) if comparison == "any-algorithm" else repeats
            measured = common | {"comparison": comparison, "implementation": name}
            if case.task == "train":
                outputs = MODELS[case.model].n_outputs(k)
                measured["samples"] = n * case.epochs
                measured["flops"] = n * case.epochs * flops_per_sample(d, case.n_hidden, outputs)
                curves += _curve(case, name, seconds)
            for repeat in range(count):
                timing = Timing(
                    **measured, repeat=repeat, order_index=repeat, compile_s=0.3, prep_s=1e-5,
                    time_s=seconds * rng.lognormal(0, noise), loss_final=0.25, loss_ref=0.25,
                    loss_rel_err=0.0, verified=None if comparison == "any-algorithm" else True,
                    rss_peak_bytes=330_000_000,
                )  # fmt: skip
                timings.append(change(timing))
        if case.task == "train":
            facts["target_loss"][case.case_id] = 0.3
            if case.n_hidden is None:
                facts["take_s"][case.case_id] = 0.002
    rows = [dataclasses.asdict(timing) for timing in timings if timing is not None]
    points = [dataclasses.asdict(point) for point in curves]
    return (
        facts,
        pd.DataFrame(rows, columns=list(TIMING_COLUMNS)),
        pd.DataFrame(points, columns=list(CURVE_COLUMNS)),
    )


def write_run(out, *, run_id=FACTS["run_id"], facts=None, **options):
    """Write a complete run into a directory of its own, and return that directory."""
    known, timings, curves = synthetic_run(**options)
    timings["run_id"] = run_id
    directory = out / run_id
    directory.mkdir(parents=True)
    for name, table in (("timings.csv", timings), ("curves.csv", curves)):
        table.to_csv(directory / name, index=False, lineterminator="\n")
    known |= {"run_id": run_id} | (facts or {})
    (directory / "run.json").write_text(json.dumps(known, indent=2) + "\n")
    return directory


def _participants(case, shape):
    if case.task != "train":
        for name, seconds in ESTIMATOR.items():
            yield "same-estimator", name, seconds[case.task] * shape[0] ** 0.1
        return
    step = case.epochs * epoch_seconds(case.model, shape, case.batch_size, case.n_hidden)
    for comparison, factors in (("same-steps", TRAINING), ("any-algorithm", ANY_ALGORITHM)):
        for name, factor in factors.items():
            yield comparison, name, factor * step


def _curve(case, name, seconds):
    epochs = np.unique(np.geomspace(1, case.epochs, 20).astype(int))
    return [
        CurvePoint(
            case_id=case.case_id,
            implementation=name,
            seed=case.seed,
            epoch=int(epoch),
            elapsed_s=seconds * epoch / case.epochs,
            train_loss=0.25 + 0.8 / (1 + epoch),
            test_accuracy=None,
        )
        for epoch in (0, *epochs)
    ]
