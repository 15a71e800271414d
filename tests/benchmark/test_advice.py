import json
import subprocess
import sys
import warnings

import duckdb
import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model
from sklearn.datasets import dump_svmlight_file
from sklearn.model_selection import StratifiedKFold

from fastlogit.benchmark import advice, data_file
from fastlogit.benchmark.advice import add_costs, advice_lines, advise
from fastlogit.benchmark.data_file import describe
from fastlogit.benchmark.program import assemble, pipeline, reading
from fastlogit.benchmark.schema import SUMMARY_COLUMNS


def run(source):
    names = {}
    exec(source, names)  # noqa: S102 - warnings are errors here
    return names


def passengers(folder):
    rng, n = np.random.default_rng(0), 260
    sex = rng.choice(["male", "female"], n)
    age = rng.normal(30, 12, n).round(1)
    survived = rng.random(n) < 1 / (1 + np.exp(1.5 - 3 * (sex == "female") + 0.02 * (age - 30)))
    frame = pd.DataFrame({
        "Name": [f"Family{rng.integers(200)}, {'Mr' if s == 'male' else 'Mrs'}." for s in sex],
        "Sex": sex, "Age": np.where(rng.random(n) < 0.2, np.nan, age),
        "Cabin": [f"C{rng.integers(99)}" if rng.random() < 0.3 else None for _ in range(n)],
        "Embarked": rng.choice(["S", "C"], n), "Survived": np.where(survived, "yes", "no"),
    })  # fmt: skip
    frame.to_csv(folder / "people.csv", index=False)
    return describe(folder / "people.csv", "Survived", drop=["Cabin"])


def measured(n=200, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return rng.normal(size=(n, 4)).round(3) + 1.5 * np.eye(4)[y], y


def semicolons(folder):
    X, y = measured()
    frame = pd.DataFrame(X, columns=[*"abcd"]).assign(kind=np.array(["u", "v", "w"])[y])
    frame.to_csv(folder / "parts.csv", index=False, sep=";", decimal=",")
    return describe(folder / "parts.csv", "kind")


def two_decimal_marks(folder):
    X, y = measured()
    lines = [";".join("abcy")]
    for i, (row, label) in enumerate(zip(X.tolist(), y, strict=True)):
        first = str(row[0]) if i % 3 else str(row[0]).replace(".", ",")
        others = [str(value).replace(".", ",") for value in row[1:3]]
        lines.append(";".join([first, *others, "uvw"[label]]))
    (folder / "marks.csv").write_text("\n".join(lines))
    return describe(folder / "marks.csv", "y")


def missing_numbers(folder):
    X, y = measured()
    X[::7, 0] = np.nan
    # Missing ones among the classes too: pandas reads the others as floats.
    frame = pd.DataFrame(X, columns=[*"abcd"]).assign(level=np.array([0, 1, 2])[y])
    frame["level"] = frame["level"].where(frame.index % 50 != 3)
    frame.to_csv(folder / "levels.csv", index=False)
    return describe(folder / "levels.csv", "level")


def unbalanced(folder):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(1000, 3)), columns=[*"abc"]).assign(fraud=0)
    frame.loc[frame["a"].nlargest(10).index, "fraud"] = 1
    frame.to_csv(folder / "rare.csv", index=False)
    return describe(folder / "rare.csv", "fraud")


def parquet(folder):
    X, y = measured()
    frame = pd.DataFrame(X, columns=[*"abcd"]).assign(kind=np.array(["u", "v", "w"])[y])
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(y)) % 50, "D")
    # A name that is a pattern too, and what it would match.
    for name, rows in (("days[1].parquet", frame), ("days1.parquet", frame[::-1].head(9))):
        duckdb.from_df(rows).write_parquet(str(folder / name))
    file = describe(folder / "days[1].parquet", "kind")
    assert file.n_samples == len(frame)
    return file


def arrays(folder):
    X, y = measured(n_classes=2)
    np.savez(folder / "arrays.npz", X=X, label=y)
    return describe(folder / "arrays.npz")


def sparse_rows(folder):
    X, y = measured()
    dump_svmlight_file(np.where(X > 0, X, 0), y, str(folder / "rows.svm"))
    return describe(folder / "rows.svm")


def odd_text(folder):
    """Write no header, a comment, numbers as text with a word for missing ones, a single row."""
    X, y = measured()
    lines = [";".join([*map(str, row), "-?"[i % 90 == 0] if i % 9 == 0 else "1.5", "uvw"[k]])
             for i, (row, k) in enumerate(zip(X, y, strict=True))]  # fmt: skip
    text = "\n".join(["# from the laboratory", *lines, "1;2;3;4;1.5;x", ""])
    (folder / "it's {odd}.txt").write_text(text, encoding="latin-1")
    options = data_file.ReadOptions(na=("-", "?"), header=False)
    return describe(folder / "it's {odd}.txt", "column5", options=options, force=True)


def wide(folder):
    X, y = measured()
    X = np.hstack([X, np.random.default_rng(2).normal(size=(len(y), 1100)).round(2)])
    frame = pd.DataFrame(X).add_prefix("gene_").assign(kind=np.array(["u", "v", "w"])[y])
    frame["sex"] = np.where(frame["gene_7"] > 0, "m", "f")
    frame.to_csv(folder / "genes.csv", index=False)
    return describe(folder / "genes.csv", "kind")


FILES = (passengers, semicolons, two_decimal_marks, missing_numbers, unbalanced, parquet, arrays,
         sparse_rows, odd_text, wide)  # fmt: skip


@pytest.fixture(scope="module", params=FILES, ids=lambda make: make.__name__)
def own(request, tmp_path_factory):
    file = request.param(tmp_path_factory.mktemp("own"))
    with pytest.MonkeyPatch.context() as patch:
        if request.param is not semicolons:  # the networks take seconds
            patch.setattr(advice, "_MOST_NETWORK_ELEMENTS", 0)
        return file, advise(file)


def test_the_program_runs_without_a_warning_and_reaches_what_is_promised(own, monkeypatch, capsys):
    file, advised = own
    assert str(file.path.parent) not in json.dumps(advised)
    monkeypatch.chdir(file.path.parent)
    names = run(advised["source"])
    assert capsys.readouterr().out == f"Test accuracy: {100 * advised['accuracy']:.1f} %\n"
    assert advised["accuracy"] > advised["baseline_accuracy"] - 0.02
    assert [str(name) for name in names["model"].classes_] == advised["classes"] == [*file.classes]


def test_the_test_rows_are_those_of_the_benchmark(own):
    file, _ = own
    names = run(assemble(reading(file, str(file.path))))
    X, y, X_test, y_test = data_file.frames(file)
    for name, expected in (("X_train", X), ("X_test", X_test)):
        pd.testing.assert_frame_equal(names[name], expected, check_dtype=False)
    for name, labels in (("y_train", y), ("y_test", y_test)):
        np.testing.assert_array_equal(names[name], labels)


def test_the_figures_agree_with_the_confusion_matrix(own):
    file, advised = own
    assert json.loads(json.dumps(advised)) == advised
    matrix = np.array(advised["confusion_matrix"])
    assert matrix.sum() == advised["n_test"] == file.n_test
    assert advised["n_train"] == file.n_train
    assert advised["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum())
    per_class = np.diag(matrix) / matrix.sum(axis=1)
    assert advised["balanced_accuracy"] == pytest.approx(per_class.mean())
    majority = np.argmax(np.array(file.class_rows) - matrix.sum(axis=1))  # of the training rows
    assert advised["baseline_accuracy"] == pytest.approx(
        matrix.sum(axis=1)[majority] / matrix.sum()
    )
    assert 0.5 < advised["roc_auc"] <= 1
    assert advised["class_rows"] == dict(zip(file.classes, file.class_rows, strict=True))
    lines = advice_lines(advised)
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 78


def test_the_interval_is_wilson_s(own):
    _, advised = own
    # Its ends are the shares p whose own standard error is as far from the accuracy as z says.
    for end in (advised["accuracy_low"], advised["accuracy_high"]):
        error = np.sqrt(end * (1 - end) / advised["n_test"])
        assert abs(advised["accuracy"] - end) == pytest.approx(1.959964 * error, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [passengers, semicolons])
def test_the_program_in_a_process_of_its_own(make, tmp_path):
    advised = advise(make(tmp_path))
    (tmp_path / "program.py").write_text(advised["source"], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == f"Test accuracy: {100 * advised['accuracy']:.1f} %\n"


@pytest.mark.parametrize("make", [passengers, wide])
def test_values_not_seen_in_training_give_no_warning(make, tmp_path):
    file = make(tmp_path)
    names = run(assemble(reading(file, str(file.path))))
    X_train, X_test = names["X_train"], names["X_test"]
    model = run(assemble(pipeline("LogisticRegression", {"C": 1e-3}, X_train)))["model"]
    model.fit(X_train, names["y_train"])
    new = X_test.assign(**{X_test.columns[-1]: "new", X_test.columns[2]: np.nan})
    assert np.isfinite(model.predict_proba(new)).all()


def test_a_network_is_chosen_where_it_is_clearly_better():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    opposite = (X[:, 0] * X[:, 1] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = advice._choose(X, opposite)
    assert chosen["model"] == "MLPClassifier"
    assert chosen["arguments"].keys() == {"alpha", "random_state", "solver"}


def test_the_penalty_is_the_one_of_least_log_loss():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 30))
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = advice._choose(X, y)
        search = sklearn.linear_model.LogisticRegressionCV(
            Cs=advice._GRIDS["LogisticRegression"]["C"], scoring="neg_log_loss", max_iter=1000,
            cv=StratifiedKFold(5, shuffle=True, random_state=0),
        ).fit(X, y)  # fmt: skip
    assert (chosen["model"], chosen["folds"]) == ("LogisticRegression", 5)
    assert chosen["arguments"] == {"C": pytest.approx(np.ravel(search.C_)[0])}


def test_fits_of_more_columns_than_rows_are_those_of_the_reduced_matrix(monkeypatch):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 3000))
    X[:, :20] += 0.3 * y[:, np.newaxis]
    chosen = advice._choose(X, y)
    monkeypatch.setattr(advice.np.linalg, "qr", lambda transposed, mode: transposed)
    assert advice._choose(X, y) == chosen
    assert chosen["arguments"]["C"] < 1


def test_a_class_of_a_single_training_row_is_not_cross_validated(tmp_path):
    frame = pd.DataFrame({"a": np.arange(22) ** 2 % 7, "y": ["u"] * 10 + ["v"] * 10 + ["w"] * 2})
    frame.to_csv(tmp_path / "few.csv", index=False)
    advised = advise(describe(tmp_path / "few.csv", "y"))
    assert advised["folds"] is None
    assert "cross-validation" not in advice_lines(advised)[1]


def test_test_rows_may_lack_a_class(tmp_path):
    frame = pd.DataFrame({"a": np.arange(284) ** 2 % 101, "b": np.arange(284) % 13})
    frame["y"] = ["u"] * 138 + ["v"] * 143 + ["w"] * 3
    frame.to_csv(tmp_path / "rare.csv", index=False)
    file = describe(tmp_path / "rare.csv", "y")
    assert set(data_file.frames(file).y_test) == {"u", "v"}
    advised = advise(file)
    assert advised["roc_auc"] is None
    assert any("ROC AUC: unknown" in line for line in advice_lines(advised))


def test_a_fit_gets_the_iterations_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(advice, "_MOST_NETWORK_ELEMENTS", 0)
    monkeypatch.setattr(advice, "_MAX_ITER", ({"max_iter": 1}, {"max_iter": 2}, {"max_iter": 500}))
    advised = advise(semicolons(tmp_path))
    assert advised["arguments"]["max_iter"] == 500
    assert "max_iter=500)" in advised["source"]


def test_of_many_rows_a_sample_of_each_class_is_cross_validated(monkeypatch):
    monkeypatch.setattr(advice, "_MOST_ELEMENTS", 20_000)
    y = np.repeat([0, 1, 1, 1], 2500)
    y[:12] = 2
    rows = advice._sample(y, 50)
    counts = np.bincount(y[rows])
    assert counts[2] == 10  # two for each fold, of the rare class
    assert counts[1] / counts[0] == pytest.approx(3, rel=0.1)
    assert rows.sum() * 50 <= 1.5 * 20_000 / 3
    assert advice._sample(y[::100], 2).all()


# --- costs ---


def summary(model="LogisticRegression", **seconds):
    """Return a summary from `fit=(fastlogit's seconds, scikit-learn's)` and so on."""
    rows = []
    for task, pair in seconds.items():
        case_id = f"{model}/own/lbfgs/{task.replace('_', '-')}/float64/t1/s0"
        for library, median in zip(("fastlogit", "scikit-learn"), pair, strict=True):
            row = dict.fromkeys(SUMMARY_COLUMNS) | {"case_id": case_id, "model": model}
            row |= {"comparison": "same-estimator", "implementation": library, "status": "ok"}
            rows.append(row | {"median_s": median})
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


PLAIN = {
    "file": "own.csv", "n_train": 800, "n_test": 200, "model": "LogisticRegression",
    "arguments": {"C": 0.1}, "folds": 5, "accuracy": 0.9, "accuracy_low": 0.85,
    "accuracy_high": 0.93, "balanced_accuracy": 0.89, "roc_auc": 0.95, "imbalance": 1.5,
    "baseline_accuracy": 0.6,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fit", "first", "break_even", "library", "words"),
    [
        # Seconds of n fits: 2 + 0.01 (n - 1) against 1 + 0.11 (n - 1): less from the 12th on.
        ((0.01, 0.11), (2.0, 1.0), 12, "fastlogit", "breaks even at 12 fits in one process"),
        ((0.001, 0.002), (2.0, 1.0), 1002, "scikit-learn", "fastlogit breaks even at 1,002 fits"),
        ((0.002, 0.001), (2.0, 1.0), None, "scikit-learn", "no slower"),
        ((0.01, 0.11), (1.0, 1.2), 1, "fastlogit", "faster from the first fit on"),
    ],
    ids=["many-fits", "too-many-fits", "never", "at-once"],
)
def test_which_library_to_take(fit, first, break_even, library, words):
    cost = add_costs(PLAIN, summary(fit=fit, first_fit=first, cold_fit=(12.0, 1.0)))
    assert cost["break_even"] == break_even
    assert cost["library"] == library
    times = {"cold": 12.0, "first in a process": first[0], "repeated": fit[0]}
    assert cost["costs"]["fastlogit"] == times
    text = " ".join(map(str.strip, advice_lines(cost)))
    assert f"Take {library}: " in text
    assert words in text
    if break_even == 12:
        total = [first[i] + fit[i] * (np.arange(1, 20) - 1) for i in (0, 1)]
        assert np.flatnonzero(total[0] < total[1])[0] + 1 in (11, 12)  # equal at 11, to a rounding


def test_costs_of_another_model_or_of_one_library_are_none():
    assert add_costs(PLAIN, summary("MLPClassifier", fit=(1, 2))) == PLAIN
    table = summary(fit=(1.0, 2.0))
    table.loc[1, "status"] = "failed"
    assert add_costs(PLAIN, table) == PLAIN
    assert add_costs(PLAIN, table.iloc[:0]) == PLAIN


def test_without_first_fits_the_repeated_ones_decide():
    cost = add_costs(PLAIN, summary(fit=(1.0, 2.0)))
    assert cost["break_even"] == 1
    assert advice_lines(cost)[-3] == "One fit, fastlogit: repeated 1.0 s"


# --- lines ---


def test_the_whole_text():
    costs = summary(fit=(0.001, 0.005), first_fit=(1.5, 1.2), cold_fit=(9.0, 1.2))
    assert advice_lines(add_costs(PLAIN, costs)) == [
        "Advice for own.csv (800 training and 200 test rows):",
        "Model: LogisticRegression(C=0.1), by 5-fold cross-validation",
        "Test accuracy: 90.0 % (95 % interval 85.0 % to 93.0 %)",
        "Majority-class baseline: 60.0 %; balanced accuracy: 89.0 %; ROC AUC: 0.950",
        "One fit, fastlogit: cold 9.0 s, first in a process 1.5 s, repeated 1.0 ms",
        "One fit, scikit-learn: cold 1.2 s, first in a process 1.2 s, repeated 5.0 ms",
        "Take fastlogit: fastlogit breaks even at 77 fits in one process.",
    ]


def test_the_worst_case_is_ten_lines():
    worst = PLAIN | {
        "file": "a long name of a file with " * 4 + ".csv", "n_train": 10_000_000,
        "n_test": 2_000_000, "model": "MLPClassifier", "imbalance": 99.0,
        "arguments": {"alpha": 0.001, "random_state": 0, "solver": "lbfgs", "max_iter": 10_000},
        "accuracy_low": 0.5,
    }  # fmt: skip
    times = summary("MLPClassifier", fit=(0.1, 0.5), first_fit=(99.0, 12.0), cold_fit=(99.0, 12.0))
    lines = advice_lines(add_costs(worst, times))
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 78
    text = " ".join(map(str.strip, lines))
    assert "The accuracy is not clearly above the majority-class baseline." in text
    assert "Unbalanced classes (99:1): judge by ROC AUC." in text
    assert "Take " in text
