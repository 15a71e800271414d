"""Stored runs with made-up times, written by the benchmark's own files."""

import dataclasses

import numpy as np

from fastlogit.benchmark.cases import Grid, flops_per_sample, sizes
from fastlogit.benchmark.results import CurvePoint, RunFiles, Timing
from fastlogit.models import MODELS

# By contender: division, seconds a step, flop/s, seconds of the first call.
SPEEDS = {
    "numpy": ("closed", 20e-6, 30e9, 0.0006),
    "numba": ("closed", 0.3e-6, 25e9, 0.004),
    "jax": ("closed", 4e-6, 20e9, 0.35),
    "torch": ("closed", 60e-6, 28e9, 0.002),
    "scikit-learn": ("open", 90e-6, 10e9, 0.003),
}
FACTS = {
    "command": ["fastlogit", "bench", "run", "-i", "all"],
    "started": "2026-11-23T12:00:00Z",
    "finished": "2026-11-23T12:04:00Z",
    "config": {"repeats": 5},
    "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
    "packages": {"python": "3.11.7", "fastlogit": "0.1.0", "numpy": "2.4.6", "numba": "0.68.1"},
    "cpu": {
        "name": "A processor",
        "llvm_name": "znver5",
        "simd_bits": 512,
        "fma": True,
        "cores": 2,
    },
    "memory_bytes": 16 * 2**30,
    "environment": {},
    "load_start": [0.2, 0.3, 0.4],
    "load_end": [0.9, 0.5, 0.4],
    "thread_pools": [],
}


def write_run(
    out,
    *,
    models=tuple(MODELS),
    sets=("iris", "digits"),
    batch_sizes=(32,),
    impls=tuple(SPEEDS),
    repeats=5,
    curves=True,
    most=None,
    ends=None,
    change=lambda timing: timing,
    rename=str,
    facts=None,
):
    """Write a run and give its directory.

    `most` is the number of cells to write, `ends` is raised where the run should end early,
    `change` sees every timing before it is written, `rename` gives the data sets other names.
    """
    grid = Grid(models=models, datasets=sets, batch_sizes=batch_sizes)
    rng = np.random.default_rng(0)
    calibration = [{"threads": 1, "sgemm_gflop_s": 228.0, "dgemm_gflop_s": 97.0, "read_gb_s": 42.0}]
    gathers, targets = {}, {}
    try:
        with RunFiles(out, FACTS | {"calibration": calibration} | (facts or {})) as files:
            for case in grid.cases()[:most]:
                cell = case.cell_id.replace(case.dataset, rename(case.dataset))
                timings, curve = [], []
                for impl in impls:
                    made, points = _contender(case, cell, impl, repeats, rng)
                    timings += [dataclasses.replace(row, run_id=files.run_id) for row in made]
                    curve += points if curves else []
                named = [dataclasses.replace(t, dataset=rename(t.dataset)) for t in timings]
                files.append([change(timing) for timing in named], curve)
                targets[cell] = 0.3
                if not MODELS[case.model].has_hidden:
                    gathers[cell] = 0.002
            files.note(gather_s=gathers, target_loss=targets)
            if ends is not None:
                raise ends
    except BaseException as error:
        if error is not ends:
            raise
    return files.directory


def _contender(case, cell, impl, repeats, rng):
    division, step, rate, first = SPEEDS[impl]
    model = MODELS[case.model]
    n, d, k = sizes(case.model, case.dataset)
    samples = n * case.epochs
    flops = samples * flops_per_sample(d, case.n_hidden, model.n_outputs(k))
    seconds = samples / case.batch_size * step + flops / rate
    common = {
        "cell_id": cell,
        "model": case.model,
        "dataset": case.dataset,
        "n_samples": n,
        "n_features": d,
        "n_hidden": case.n_hidden,
        "n_classes": k,
        "impl": impl,
        "impl_version": "1.0",
        "division": division,
        "solver": case.solver,
        "batch_size": case.batch_size,
        "dtype": case.dtype,
        "threads": case.threads,
        "epochs": case.epochs,
        "seed": case.seed,
    }
    closed = division == "closed"
    timings = [
        Timing(
            run_id="",
            **common,
            repeat=repeat,
            order_index=repeat,
            time_s=seconds * rng.lognormal(0, 0.03),
            compile_s=first,
            prep_s=1e-5,
            samples=samples,
            flops=flops,
            rss_peak_bytes=330_000_000,
            loss_final=0.25,
            loss_ref=0.25 if closed else None,
            loss_rel_err=0.0 if closed else None,
            verified=True if closed else None,
            status="ok",
        )
        for repeat in range(repeats)
    ]
    return timings, _curve(case, cell, impl, seconds, closed)


def _curve(case, cell, impl, seconds, closed):
    epochs = np.unique(np.geomspace(1, case.epochs, 40).astype(int))
    floor = 0.25 if closed else 0.28
    return [
        CurvePoint(
            cell_id=cell,
            impl=impl,
            seed=case.seed,
            epoch=int(epoch),
            elapsed_s=seconds * epoch / case.epochs,
            train_loss=floor + 0.8 / (1 + epoch),
            test_accuracy=None,
        )
        for epoch in epochs
    ]
