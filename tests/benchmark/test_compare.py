"""Synthetic runs of a machine whose noise is known, written and read as real ones are."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from fastlogit.benchmark import compare_output
from fastlogit.benchmark.compare import ALL_MODELS, compare_runs
from fastlogit.benchmark.results import RunFiles, Timing
from fastlogit.benchmark.runs import load_run
from fastlogit.benchmark.thresholds import Rule, Thresholds

MODELS = ("logistic", "softmax", "mlp-logistic", "mlp-softmax")
SETS = ("iris", "wine", "digits", "moons", "blobs")
SECONDS = {"numpy": 0.06, "numba": 0.004, "jax": 0.01}
FACTS = {"status": "complete", "cpu": {"name": "Some", "cores": 2}, "memory_bytes": 1 << 34}


def timing(cell, model, impl, **other):
    return Timing(
        run_id="r",
        cell_id=cell,
        model=model,
        dataset=cell.split("/")[1],
        impl=impl,
        impl_version="1",
        division="closed",
        solver="sgd",
        batch_size=32,
        dtype="float32",
        threads=1,
        epochs=1,
        seed=0,
        **{"status": "ok"} | other,
    )


def slowdown(impl, model=None, dataset=None, by=1.2):
    """Say what takes how much longer."""

    def factor(*cell):
        asked = zip((impl, model, dataset), cell, strict=True)
        return by if all(wanted in (None, it) for wanted, it in asked) else 1.0

    return factor


@pytest.fixture
def store(tmp_path):
    """Write a run: its noise, what is slow in it, and the hour of the machine it ran in."""

    def write(seed, *slow, hour=1.0, impls=("numpy", "numba"), models=MODELS, repeats=10, bad=()):
        rng = np.random.default_rng(seed)
        rows, gathers = [], {}
        for model in models:
            for dataset in SETS:
                cell = f"{model}/{dataset}/sgd/b32"
                gathers[cell] = 1e-3 * hour * rng.uniform(1, 1.02)
                for impl in impls:
                    once = SECONDS[impl] * hour * np.exp(rng.normal(0, 0.01))
                    for factor in slow:
                        once *= factor(impl, model, dataset)
                    # Never faster than that, now and then a multiple of it.
                    times = once * (1 + rng.exponential(0.01, repeats))
                    times *= np.where(rng.random(repeats) < 0.1, rng.uniform(1, 4, repeats), 1.0)
                    rows += [
                        timing(cell, model, impl, repeat=i, time_s=float(time))
                        for i, time in enumerate(times)
                    ]
        rates = {
            "sgemm_gflop_s": 200.0 / hour,
            "dgemm_gflop_s": 90.0 / hour,
            "read_gb_s": 40 / hour,
        }
        facts = FACTS | {"calibration": [{"threads": 1, **rates}], "gather_s": gathers}
        with RunFiles(tmp_path, facts) as files:
            files.append([*rows, *bad])
        run = load_run(str(files.directory))
        # The bootstrap starts from the run's id, which is drawn anew every time.
        return replace(run, facts=run.facts | {"run_id": f"run-{seed}"})

    return write


def verdicts(table, *names):
    return {tuple(row[name] for name in names): row["verdict"] for _, row in table.iterrows()}


def test_two_runs_of_the_same_code_are_no_regression(store):
    for seed in range(4):
        compared = compare_runs(store(2 * seed), store(2 * seed + 1))
        assert compared.verdict == "ok"
        assert "slower" not in {*compared.cells["verdict"], *compared.models["verdict"]}


def test_a_kernel_a_fifth_slower_is_found(store):
    for seed in range(4):
        model = MODELS[seed % 4]
        compared = compare_runs(store(2 * seed), store(2 * seed + 1, slowdown("numba", model)))
        assert compared.verdict == "regression"
        found = verdicts(compared.models, "impl", "model")
        assert {key for key, verdict in found.items() if verdict == "slower"} == {("numba", model)}


def test_a_slower_hour_is_no_regression_and_hides_none(store):
    for seed, hour in enumerate((0.8, 1.1, 1.5)):
        base = store(2 * seed)
        assert compare_runs(base, store(2 * seed + 1, hour=hour)).verdict == "ok"
    slow = store(9, slowdown("numba", "softmax", by=1.4), hour=1.1)
    found = verdicts(compare_runs(base, slow).models, "impl", "model")
    assert found["numba", "softmax"] == "slower"


def test_slices_taken_from_numpy_s_long_repeats_are_no_regression(store):
    busy, calm = store(0, slowdown("numpy", by=1.5)), store(1)
    assert compare_runs(busy, calm).verdict == "ok"
    assert compare_runs(calm, busy).verdict == "ok"


def test_the_baseline_is_shown_and_not_judged(store):
    compared = compare_runs(store(0), store(1, slowdown("numpy", by=3.0)))
    rows = compared.models[compared.models["impl"] == "numpy"]
    assert set(rows["verdict"]) == {""}
    assert rows["normalised"].to_numpy() == pytest.approx(3.0, rel=0.05)
    assert compared.verdict == "ok"


def test_one_cell_much_slower_is_found_where_it_is(store):
    slow = slowdown("numba", "softmax", "digits", by=2.0)
    compared = compare_runs(store(0), store(1, slow))
    found = verdicts(compared.cells, "cell_id", "impl")
    assert [key for key, verdict in found.items() if verdict == "slower"] == [
        ("softmax/digits/sgd/b32", "numba")
    ]
    assert compared.verdict == "regression"
    assert "slower" not in set(compared.models["verdict"])


def test_improvements_are_called_alike(store):
    compared = compare_runs(store(0, slowdown("numba", "softmax", by=1.3)), store(1))
    found = verdicts(compared.models, "impl", "model")
    assert found["numba", "softmax"] == "faster"
    assert compared.verdict == "ok"


def test_without_the_baseline_the_other_models_stand_in_for_it(store):
    kinds = {"impls": ("numba",)}
    base = store(0, **kinds)
    compared = compare_runs(base, store(1, slowdown("numba", "softmax"), **kinds))
    found = verdicts(compared.models, "impl", "model")
    assert found["numba", "softmax"] == "slower"
    assert set(compared.cells["views"].iloc[0]) == {"clock", "others", "host"}
    assert compare_runs(base, store(2, **kinds)).verdict == "ok"
    # All of them alike is another hour, as far as they can tell.
    everywhere = compare_runs(base, store(1, slowdown("numba"), hour=1.3, **kinds))
    assert verdicts(everywhere.models, "impl", "model")["numba", "softmax"] != "slower"


def test_the_clock_alone_judges_nothing(store):
    runs = [store(seed, impls=("numba",), models=("softmax",)) for seed in (0, 1)]
    bare = [replace(run, facts=FACTS | {"run_id": "r"}) for run in runs]
    compared = compare_runs(*bare)
    assert set(compared.cells["verdict"]) == {""}
    assert compared.cells[["low", "high", "normalised"]].isna().all().all()
    assert set(compared.cells["views"].iloc[0]) == {"clock"}


def test_one_repeat_says_nothing_of_its_own_error(store):
    compared = compare_runs(store(0, repeats=1), store(1, repeats=5))
    assert set(compared.models["verdict"]) == {""}
    assert compared.cells["ratio"].notna().all()


def test_fewer_repeats_are_no_slowdown(store):
    for seed in range(5):
        assert compare_runs(store(seed, repeats=20), store(seed + 50, repeats=4)).verdict == "ok"


def test_thresholds_decide(store):
    base, new = store(0), store(1, slowdown("numba", "softmax", by=1.3))
    assert compare_runs(base, new, Thresholds(0.10)).verdict == "regression"
    assert compare_runs(base, new, Thresholds(0.50)).verdict == "ok"
    loose = Thresholds(0.05, (Rule("softmax/*", "numba", 0.5),))
    compared = compare_runs(base, new, loose)
    assert compared.verdict == "ok"
    row = compared.models.query("impl == 'numba' and model == 'softmax'").iloc[0]
    assert row["threshold"] == pytest.approx(0.5)
    assert row["verdict"] == "within"
    with pytest.raises(ValueError, match="matches no cell of both runs"):
        compare_runs(base, new, Thresholds(0.05, (Rule("soft/*", None, 0.5),)))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("failed", "failed"),
        ("unsupported", "failed"),
        ("failed-verification", "failed-verification"),
    ],
)
def test_what_no_longer_works_is_no_pass(store, status, verdict):
    failure = timing("softmax/iris/sgd/b32", "softmax", "numba", status=status, error="why")
    compared = compare_runs(store(0), store(1, bad=[failure]))
    assert compared.verdict == verdict
    assert len(compared.cells) == 2 * 4 * 5 - 1
    # A failure that was there before is none of NEW's.
    assert compare_runs(store(0, bad=[failure]), store(1, bad=[failure])).verdict == "ok"


def test_wrong_results_weigh_more_than_slow_ones_and_those_more_than_none(store):
    slow = slowdown("numba", "logistic", by=1.5)
    for status, verdict in (("failed-verification",) * 2, ("failed", "regression")):
        failure = timing("softmax/iris/sgd/b32", "softmax", "numba", status=status, error="why")
        assert compare_runs(store(0), store(1, slow, bad=[failure])).verdict == verdict


def test_runs_without_a_cell_in_common_are_refused(store):
    with pytest.raises(ValueError, match="no timed cell and contender in common"):
        compare_runs(store(0, models=("softmax",)), store(1, models=("logistic",)))


def test_another_machine_is_refused_unless_allowed(store):
    base, new = store(0), store(1, slowdown("numba", "softmax", by=1.5), hour=0.5)
    new = replace(new, facts=new.facts | {"cpu": {"name": "Other", "cores": 2}})
    with pytest.raises(ValueError, match="different machines: processor: Some against Other"):
        compare_runs(base, new)
    compared = compare_runs(base, new, different_machines=True)
    assert compared.machine == ["processor: Some against Other"]
    assert all("clock" not in views for views in compared.cells["views"])


def test_another_file_is_refused(store):
    base, new = store(0), store(1)
    one, other = ({"data": {"sha256": digest}} for digest in ("a", "b"))
    with pytest.raises(ValueError, match="different data"):
        compare_runs(replace(base, facts=base.facts | one), replace(new, facts=new.facts | other))
    with pytest.raises(ValueError, match="different data"):
        compare_runs(replace(base, facts=base.facts | one), new)


FIGURES = ["ratio", "normalised", "low", "high"]
PART = {"models": MODELS[:2]}  # the time is that of the cells, whatever their models
SLOW = settings(
    max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@SLOW
@given(scale=st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(store, scale):
    base, new = store(0, **PART), store(1, slowdown("numba", "softmax"), **PART)
    scaled = [
        replace(run, timings=run.timings.assign(time_s=run.timings["time_s"] * scale))
        for run in (base, new)
    ]
    for before, after in zip(_tables(base, new), _tables(*scaled), strict=True):
        assert before["verdict"].tolist() == after["verdict"].tolist()
        assert after[FIGURES].to_numpy(float) == pytest.approx(before[FIGURES].to_numpy(float))


@SLOW
@given(seed=st.integers(0, 1000))
def test_the_order_of_the_rows_does_not_matter(store, seed):
    base, new = store(0, **PART), store(1, slowdown("numba", "softmax"), **PART)
    shuffled = [
        replace(run, timings=run.timings.sample(frac=1, random_state=seed + i))
        for i, run in enumerate((base, new))
    ]
    for before, after in zip(_tables(base, new), _tables(*shuffled), strict=True):
        assert before.drop(columns="views").equals(after.drop(columns="views"))


@SLOW
@given(by=st.floats(0.5, 2.0), hour=st.floats(0.5, 2.0))
def test_swapping_the_runs_inverts_the_ratios(store, by, hour):
    slow = slowdown("numba", "softmax", by=by)
    runs = store(0, **PART), store(1, slow, hour=hour, **PART)
    opposite = {"slower": "faster", "faster": "slower", "": ""}
    for there, back in zip(_tables(*runs), _tables(*reversed(runs)), strict=True):
        inverse = back[["ratio", "normalised", "high", "low"]].to_numpy(float)
        assert 1 / inverse == pytest.approx(there[FIGURES].to_numpy(float))
        for forth, other in zip(there["verdict"], back["verdict"], strict=True):
            if forth in opposite:
                expected = {opposite[forth], "within"} if forth == "slower" else {opposite[forth]}
                assert other in expected


def _tables(base, new):
    compared = compare_runs(base, new)
    return compared.cells, compared.models


def test_a_comparison_is_the_same_every_time(store):
    base, new = store(0), store(1)
    first, again = (compare_output.as_json(compare_runs(base, new)) for _ in range(2))
    assert first == again


def test_json_has_it_all_and_no_nan(store):
    compared = compare_runs(store(0, impls=("numpy", "numba", "jax")), store(1))
    content = json.loads(compare_output.as_json(compared), parse_constant=pytest.fail)
    assert content["verdict"] == "ok"
    assert content["runs"]["base"]["run_id"] == compared.base.facts["run_id"]
    assert len(content["cells"]) == 40
    assert {row["model"] for row in content["models"]} == {*MODELS, ALL_MODELS}
    assert len(content["only_base"]) == 20
    assert content["only_new"] == content["failures"] == content["machine"] == []
    cell = next(row for row in content["cells"] if row["impl"] == "numba")
    assert set(cell["views"]) == {"clock", "numpy", "host"}
    assert cell["low"] == min(view["low"] for view in cell["views"].values())
    assert cell["high"] == max(view["high"] for view in cell["views"].values())
    assert content["method"]["intervals"] == 40 + 10


def text(*tables):
    console = Console(width=200, highlight=False, no_color=True, file=None)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


def test_the_table_has_regressions_first(store):
    compared = compare_runs(store(0), store(1, slowdown("numba", "mlp-logistic", by=2.0)))
    rows = text(compare_output.cells_table(compared)).splitlines()[2:]
    assert all("mlp-logistic/" in row and "▼ slower" in row for row in rows[:5])
    assert not any("▼" in row for row in rows[5:])
    assert (
        len(text(compare_output.cells_table(compared, only_slower=True)).splitlines()) == 2 + 5 + 3
    )
    models = text(compare_output.models_table(compared)).splitlines()[2:]
    assert "mlp-logistic  numba" in models[0]
    assert "not judged" in models[-1]


def test_the_clock_is_not_named_where_it_says_nothing(store):
    base, new = store(0), store(1)
    other = replace(new, facts=new.facts | {"memory_bytes": 1 << 30})
    assert "95 %: holds by the clock, against NumPy" in text(
        compare_output.cells_table(compare_runs(base, new))
    )
    shown = text(compare_output.cells_table(compare_runs(base, other, different_machines=True)))
    assert "95 %: holds against NumPy and against the host" in shown


def test_cells_that_differ_beyond_the_data_set_are_named_in_full(store):
    run = store(0, models=("softmax",))
    other = run.timings.assign(cell_id=run.timings["cell_id"].str.replace("b32", "b64"))
    both = replace(run, timings=type(other)(np.vstack([run.timings, other]), columns=other.columns))
    both.timings["time_s"] = both.timings["time_s"].astype(float)
    shown = text(compare_output.cells_table(compare_runs(both, both)))
    assert "softmax/iris/sgd/b64" in shown
    assert "sgd" not in text(compare_output.cells_table(compare_runs(run, run)))


def test_notes_and_findings(store):
    failure = timing("softmax/iris/sgd/b32", "softmax", "numba", status="failed", error="why")
    base, new = store(0, impls=("numpy", "numba", "jax")), store(1, bad=[failure])
    new = replace(new, facts=new.facts | {"packages": {"numpy": "3"}})
    notes = list(compare_output.notes(compare_runs(base, new)))
    assert notes[0] == "also different: numpy: none against 3"
    assert "only in BASE: jax in logistic/blobs/sgd/b32" in notes
    assert notes[-1] == "no longer ok: numba in softmax/iris/sgd/b32: failed: why"
    found = list(compare_output.findings(compare_runs(base, new)))
    assert found[0] == "ok in BASE and not in NEW: 1"
    assert found[1].startswith("models: ")


def test_what_cannot_be_told_is_said(store):
    noisy = [
        replace(run, timings=run.timings.assign(time_s=run.timings["time_s"] * noise))
        for seed, run in enumerate((store(0), store(1)))
        for noise in [np.random.default_rng(seed).lognormal(0, 0.5, len(run.timings))]
    ]
    *_, last = compare_output.findings(compare_runs(*noisy))
    assert last.startswith("unsettled: the noise of these runs leaves room")
    *_, last = compare_output.findings(compare_runs(store(0), store(0), Thresholds(0.5)))
    assert last.startswith("cells: ")
