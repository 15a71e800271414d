import dataclasses
import io
import json
from types import SimpleNamespace

import pandas as pd
import pytest

import fastlogit
from fastlogit.benchmark import own_data
from fastlogit.benchmark.advice import advice
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.problem import build
from fastlogit.benchmark.results import CURVE_COLUMNS, TIMING_COLUMNS, Timing
from fastlogit.benchmark.runner import measure_case
from fastlogit.benchmark.ways import ways
from fastlogit.models import MODELS


def stored(facts, rows, points):
    """Give a run as its files would give it back."""
    tables = (pd.DataFrame(rows, columns=list(TIMING_COLUMNS)),)
    tables += (pd.DataFrame(points, columns=list(CURVE_COLUMNS)),)
    timings, curves = (
        pd.read_csv(io.StringIO(table.to_csv(index=False)), keep_default_na=False, na_values=[""])
        for table in tables
    )
    return SimpleNamespace(facts=json.loads(json.dumps(facts)), timings=timings, curves=curves)


class Made:
    """A run put together by hand: 1000 rows of two classes, 600 and 400, 200 of them held out."""

    def __init__(self):
        self.rows, self.points, self.targets = [], [], {}
        self.facts = {
            "data": {"file": "letters.csv", "n_train": 800, "classes": {"a": 600, "b": 400}},
            "config": {"learning_rate": None},
        }

    def train(self, model, accuracies, impls, *, batch_size=32, seed=0, target=0.3):
        """Add a cell: an accuracy a point, and by implementation its seconds to the last one."""
        epochs = 10 * len(accuracies)
        cell_id = f"{model}/letters/sgd/b{batch_size}/float32/t1/e{epochs}/s{seed}"
        self.targets[cell_id] = target
        for impl, seconds in impls.items():
            division = "open" if impl.startswith("s") else "closed"
            for repeat, slower in enumerate((1.0, 1.0, 1.5)):
                self.rows.append(
                    Timing(
                        run_id="r", cell_id=cell_id, model=model, dataset="letters", impl=impl,
                        n_samples=800, n_features=4, n_classes=2, impl_version="1",
                        n_hidden=64 if MODELS[model].has_hidden else None,
                        division=division, solver="sgd", batch_size=batch_size, dtype="float32",
                        threads=1, epochs=epochs, seed=seed, repeat=repeat, order_index=repeat,
                        time_s=(seconds or 9) * slower, compile_s=0.5, prep_s=0.1,
                        rss_peak_bytes=3_000_000, status="ok",
                    )
                )  # fmt: skip
            for index, accuracy in enumerate(accuracies):
                last = index == len(accuracies) - 1
                loss = target if last and seconds is not None else 2 * target
                elapsed = (seconds or 9) * (index + 1) / len(accuracies)
                self.points.append((cell_id, impl, seed, 10 * (index + 1), elapsed, loss, accuracy))
        return self

    def spoil(self, impl, **changes):
        """Change the last row of an implementation."""
        place = max(i for i, row in enumerate(self.rows) if row.impl == impl)
        self.rows[place] = dataclasses.replace(self.rows[place], **changes)
        return self

    def first_call(self, **seconds):
        self.rows = [
            dataclasses.replace(row, compile_s=seconds.get(row.impl, row.compile_s))
            for row in self.rows
        ]
        return self

    @property
    def run(self):
        facts = self.facts | {"target_loss": self.targets}
        return stored(facts, map(dataclasses.asdict, self.rows), self.points)

    def advice(self):
        return "\n".join(advice(self.run))


def test_the_whole_text():
    made = Made()
    made.train("logistic", [0.7, 0.9], {"numpy": 0.2, "numba": 0.05, "scikit-learn": None})
    made.train("mlp-logistic", [0.8, 0.91], {"numpy": 0.8, "numba": 0.2, "scikit-learn": 0.6})
    made.first_call(numba=0.01)
    assert advice(made.run) == [
        "advice for letters.csv, from 800 rows to train on and 200 to test on:",
        "model: logistic, by numba in batches of 32 with sgd: 90.0% of the rows held out are right "
        "(± 2.0%), after 20 epochs, at a training loss of 0.3",
        "  calling every row 'a' would make 60.0% right",
        "  mlp-logistic makes 91.0% right: better by less than the noise, and larger",
        "implementation: numba reaches a training loss of 0.3 in 50 ms; numpy takes 4x as long; "
        "scikit-learn does not get there",
        "cost: 2.5 ms an epoch, up to 10 ms for the first call in a process, 3 MB of memory beside "
        "the rows",
        "use, with X in float32, numbers scaled, texts one-hot encoded and classes numbered from 0 "
        "as here:",
        "  import fastlogit",
        '  fastlogit.train("logistic", X, y, solver="sgd", learning_rate=0.1, batch_size=32, '
        "epochs=20, random_state=0)",
    ]


def test_a_run_that_was_cut_short_says_which_models_are_missing():
    made = Made().train("logistic", [0.9], {"numba": 0.1})
    made.facts["config"]["models"] = ["logistic", "mlp-logistic", "mlp-softmax"]
    told = "  only among the models measured: the run ended before mlp-logistic, mlp-softmax"
    assert advice(made.run)[1] == told
    made.facts["config"]["models"] = ["logistic"]
    assert "only among" not in made.advice()


def test_a_run_on_named_sets_gets_none():
    made = Made().train("logistic", [0.9], {"numba": 0.1})
    del made.facts["data"]
    assert advice(made.run) == []


def test_without_an_accuracy_it_says_so():
    for made in (Made(), Made().train("logistic", [None], {"numba": 0.1})):
        assert advice(made.run) == [
            "no advice: no model was trained to its end and tested on the rows held out"
        ]


@pytest.mark.parametrize(
    ("linear", "network", "chosen"),
    [(0.90, 0.95, "mlp-logistic"), (0.94, 0.95, "logistic"), (0.95, 0.90, "logistic")],
)
def test_the_simplest_model_within_the_noise_is_chosen(linear, network, chosen):
    # The standard error of 95 % of 200 rows is 1.5 %.
    made = Made().train("mlp-logistic", [network], {"numba": 0.1})
    text = made.train("logistic", [linear], {"numba": 0.1}).advice()
    assert f"model: {chosen}, by numba in batches" in text
    other = ({"logistic", "mlp-logistic"} - {chosen}).pop()
    accuracy = network if other == "mlp-logistic" else linear
    verdict = {0.90: "worse", 0.95: "better by less than the noise, and larger"}[accuracy]
    assert f"  {other} makes {accuracy:.1%} right: {verdict}" in text


def test_a_larger_model_that_is_no_better():
    text = (
        Made().train("logistic", [0.95], {"numba": 1}).train("softmax", [0.94], {"numba": 1})
    ).advice()
    assert "softmax makes 94.0% right: no better, and larger" in text


def test_the_noise_is_never_nothing_and_less_with_more_seeds():
    once = Made().train("logistic", [1.0], {"numba": 0.1})
    # (200 + 1/2) / 201 right: the square root of that times the rest, over 200.
    assert "100.0% of the rows held out are right (± 0.4%)" in once.advice()
    made = Made()
    for seed, accuracy in enumerate((0.88, 0.90, 0.92, 0.90)):
        made.train("logistic", [accuracy], {"numba": 0.1 * (seed + 1)}, seed=seed)
    text = made.advice()
    assert "90.0% of the rows held out are right (± 1.1%)" in text
    assert "numba reaches a training loss of 0.3 in 250 ms" in text


def test_many_rows_are_told_apart_by_more_digits():
    made = Made().train("logistic", [0.9980], {"numba": 1}).train("softmax", [0.9984], {"numba": 1})
    made.facts["data"]["classes"] = {"a": 600_000, "b": 400_000}
    text = made.advice()
    assert (
        "model: softmax, by numba in batches of 32 with sgd: 99.84% of the rows held out are right "
        "(± 0.01%)"
    ) in text
    assert "logistic makes 99.80% right: worse" in text
    assert "would make 60.00% right" in text


def test_no_better_than_the_commonest_class():
    # The standard error of 62 % of 200 rows is 3.4 %: once, it is not enough.
    for accuracy in (0.62, 0.64):
        text = Made().train("logistic", [accuracy], {"numba": 0.1}).advice()
        assert "that is not clearly better than calling every row 'a' (60.0%): these" in text
    text = Made().train("logistic", [0.68], {"numba": 0.1}).advice()
    assert "  calling every row 'a' would make 60.0% right" in text


def test_of_the_ways_that_are_good_enough_the_quickest():
    made = Made().train("logistic", [0.90], {"numba": 0.3}, batch_size=32)
    made.train("logistic", [0.89], {"numba": 0.1}, batch_size=256)
    made.train("logistic", [0.70], {"numba": 0.01}, batch_size=1024)
    assert "model: logistic, by numba in batches of 256" in made.advice()


@pytest.mark.parametrize("winner", ["numpy", "jax", "scikit-learn"])
def test_whoever_is_quickest_is_named(winner):
    seconds = {"numba": 0.2, "numpy": 0.3, "jax": 0.25, "scikit-learn": 0.4} | {winner: 0.1}
    text = Made().train("logistic", [0.9], seconds).advice()
    assert f"implementation: {winner} reaches a training loss of 0.3 in 100 ms" in text
    assert "numba takes 2x as long" in text
    used = {
        "numpy": 'fastlogit.train("logistic", X, y, solver="sgd", learning_rate=0.1, '
        'batch_size=32, epochs=10, random_state=0, backend="numpy")',
        "scikit-learn": "from sklearn.linear_model import SGDClassifier",
        # It has no recipe; the next best that has one.
        "jax": "use numba, 90.0% right, with X in float32",
    }
    assert used[winner] in text


def test_a_first_call_that_outweighs_is_pointed_out():
    made = Made().train("logistic", [0.9], {"numba": 0.1, "numpy": 0.35, "scikit-learn": 0.6})
    text = made.first_call(**{"numba": 1.2, "numpy": 0.05, "scikit-learn": 0.2}).advice()
    # 1.2 + 0.1 n < 0.05 + 0.35 n from n = 5 on.
    assert (
        "for a single fit numpy is the quicker, 400 ms with the first call against 1.3 s; numba is "
        "ahead from 5 fits in one process"
    ) in text
    assert "single fit" not in made.first_call(numba=0.29).advice()


def test_the_first_call_is_that_of_the_first_cell():
    made = Made().train("logistic", [0.5], {"numba": 0.1}, batch_size=256).first_call(numba=2.5)
    made.train("logistic", [0.9], {"numba": 0.1}).spoil("numba", compile_s=0.001)
    assert "model: logistic, by numba in batches of 32" in made.advice()
    assert "up to 2.5 s for the first call in a process" in made.advice()


def test_small_memory_is_not_quoted_to_the_byte():
    made = Made().train("logistic", [0.9], {"numba": 0.1})
    made.rows = [dataclasses.replace(row, rss_peak_bytes=4096) for row in made.rows]
    assert "less than 1 MB of memory" in made.advice()
    made.rows = [dataclasses.replace(row, rss_peak_bytes=None) for row in made.rows]
    assert "memory" not in made.advice()


def test_an_accuracy_is_that_of_the_end():
    # No epoch is chosen by the rows held out, nor a model or a batch size by its best epoch.
    made = Made().train("logistic", [0.8, 0.99, 0.9], {"numba": 0.3})
    made.train("logistic", [0.99, 0.5], {"numba": 0.1}, batch_size=256)
    made.train("mlp-logistic", [1.0, 0.91], {"numba": 0.3})
    text = made.advice()
    assert "in batches of 32 with sgd: 90.0% of the rows held out are right" in text
    assert "after 30 epochs" in text
    assert "epochs=30, " in text
    assert "mlp-logistic makes 91.0% right: better by less than the noise, and larger" in text
    assert "99" not in text


def test_the_accuracy_is_the_chosen_implementation_s_own():
    made = Made().train("logistic", [0.7, 0.8, 0.9], {"numba": 0.3, "sklearn-lbfgs": 0.06})
    cell = next(iter(made.targets))
    # It is there after 20 iterations already; a fit with more of them went past it.
    made.points = [point for point in made.points if point[1] != "sklearn-lbfgs"]
    fits = [(10, 0.01, 0.6, 0.99), (20, 0.02, 0.29, 0.85), (30, 0.03, 0.28, 0.95)]
    made.points += [(cell, "sklearn-lbfgs", 0, *fit) for fit in fits]
    text = made.advice()
    assert (
        "model: logistic, by sklearn-lbfgs: 85.0% of the rows held out are right (± 2.5%), after "
        "20 iterations, at a training loss of 0.29"
    ) in text
    assert "sklearn-lbfgs reaches a training loss of 0.3 in 20 ms; numba takes 15x" in text
    assert 'LogisticRegression(C=float("inf"), max_iter=20, random_state=0, solver="lbfgs"' in text


def test_the_package_s_solvers_need_a_first_call_no_shorter_than_the_kernels():
    made = Made().train("logistic", [0.9], {"numba": 0.3, "fastlogit-lbfgs": 0.1})
    text = made.first_call(**{"numba": 2.5, "fastlogit-lbfgs": 0.001}).advice()
    assert "implementation: fastlogit-lbfgs" in text
    assert "up to 2.5 s for the first call in a process" in text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (None, "does not end at a lower loss than it begins with: take a smaller --learning-rate"),
        (0.7, "begins at the target loss already: take a smaller --target-loss"),
    ],
)
def test_a_target_that_training_begins_at(asked, words):
    made = Made().train("logistic", [0.9], {"numpy": 0.2, "numba": 0.1}, target=0.7)
    made.points.append((next(iter(made.targets)), "numba", 0, 0, 0.0, 0.69, 0.5))
    made.facts["config"]["target_loss"] = asked
    text = made.advice()
    assert f"implementation: training {words}" in text
    assert "none reached" not in text
    assert "logistic, by numba" in text  # nobody has a time to it: the quickest through an epoch


def test_a_target_that_nobody_reached():
    text = Made().train("logistic", [0.9], {"numba": None}, target=0.001).advice()
    assert "implementation: none reached 0.001; take the table's fastest, or more epochs" in text
    made = Made().train("logistic", [0.9], {"numba": 0.1})
    for unknown in ({}, dict.fromkeys(made.targets)):
        made.targets = unknown
        assert "implementation: none reached a target loss" in made.advice()


def test_a_target_missed_with_one_seed_is_not_reached():
    made = Made().train("logistic", [0.9], {"numba": 0.1, "numpy": 0.2}, seed=0)
    made.train("logistic", [0.9], {"numba": None, "numpy": 0.2}, seed=1)
    assert (
        "numpy reaches a training loss of 0.3 in 200 ms; numba does not get there" in made.advice()
    )


@pytest.mark.parametrize("status", ["failed", "failed-verification", "unsupported"])
def test_whoever_failed_in_a_cell_is_not_advised(status):
    made = Made().train("logistic", [0.9], {"numba": 0.1, "numpy": 0.2})
    made.spoil("numba", status=status, error="no")
    text = made.advice()
    assert "implementation: numpy" in text
    assert "numba" not in text


def test_only_the_open_division():
    text = Made().train("logistic", [0.8, 0.9], {"sklearn-lbfgs": 0.1}).advice()
    assert "model: logistic, by sklearn-lbfgs: 90.0%" in text
    assert "after 20 iterations" in text
    assert "an epoch" not in text


def test_a_step_size_asked_for_is_in_the_recipe():
    made = Made().train("logistic", [0.9], {"numba": 0.1})
    made.facts["config"]["learning_rate"] = 0.02
    assert "learning_rate=0.02" in made.advice()


def test_a_way_has_all_seeds_together():
    made = Made()
    for seed, accuracies in enumerate(([0.8, 0.9], [0.7, 0.6])):
        made.train("logistic", accuracies, {"numba": 0.1, "numpy": 0.2}, seed=seed)
    (way,) = ways(made.run)
    assert way.accuracy == pytest.approx(0.75)
    assert way.quickest.loss == pytest.approx(0.3)
    assert (way.case.seed, way.n_rows, way.quickest.iterations) == (0, 800, 20)
    assert [entry.impl for entry in way.entries] == ["numba", "numpy"]
    assert way.quickest.epoch_s == pytest.approx(0.1 / 20)


def test_a_measured_file(tmp_path):
    rows = [f"{row % 3 + row * row % 10 / 8:.3f},{row * row % 7},{row % 3}" for row in range(300)]
    (tmp_path / "a.csv").write_text("\n".join(["x,z,y", *rows, ""]))
    source = own_data.describe(tmp_path / "a.csv")
    grid = Grid(source=source, models=("softmax",), batch_sizes=(32,), epochs=5)
    (case,) = grid.cases()
    kinds = [CONTENDERS["numba"], CONTENDERS["numpy"]]
    measured = measure_case(case, kinds, repeats=range(2), run_id="r")
    facts = {"data": own_data.facts(source), "target_loss": {case.cell_id: measured.target_loss}}
    timings, points = (map(dataclasses.asdict, rows) for rows in (measured.timings, measured.curve))
    run = stored(facts, timings, points)

    problem = build(case)
    trained = fastlogit.train(
        "softmax", problem.X, problem.y, problem.params, epochs=5, order=problem.order,
        backend="numpy",
    )  # fmt: skip
    proba = fastlogit.predict_proba("softmax", trained.params, problem.X_test)
    accuracy = (proba.argmax(axis=1) == problem.y_test).mean()
    (way,) = ways(run)
    assert way.accuracy == pytest.approx(accuracy)
    assert way.quickest.iterations == 5
    assert {entry.impl for entry in way.entries} == {"numba", "numpy"}
    assert all(entry.target_s > 0 for entry in way.entries)
    text = "\n".join(advice(run))
    assert f"in batches of 32 with sgd: {accuracy:.1%} of the rows" in text
    assert "calling every row '0' would make 33.3% right" in text
