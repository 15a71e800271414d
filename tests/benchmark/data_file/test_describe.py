import numpy as np
import pandas as pd
import pytest
from file_columns import label, other, spread

from fastlogit.benchmark.data_file import ReadOptions, describe, frames, load
from fastlogit.benchmark.data_file.describe import _check_values
from fastlogit.benchmark.data_file.description import Request


@pytest.mark.parametrize("name", ["target", "LABEL", "Class", "y"])
def test_a_target_is_known_by_its_name(name, write, rows):
    file = describe(write("a.csv", rows(40, spread, label, other, header=f"u,{name},v")))
    assert file.target == name
    assert f"target: the column {name!r}" in file.findings


def test_without_a_target_the_next_command_is_printed(write, rows):
    header = "id,survived,sex,age,fare"
    path = write("my data.csv", rows(
        40, lambda i: i, lambda i: i % 2, label, lambda i: i, spread, header=header
    ))  # fmt: skip
    with pytest.raises(ValueError, match="no column named target") as caught:
        describe(path, drop=["fare"], options=ReadOptions(na=("?",)))
    message, command = str(caught.value).rsplit("\n", 1)
    assert "Those that could hold classes: survived, sex." in message
    words = f"fastlogit bench run --data '{path}' --drop fare --na '?' --target survived"
    assert command.strip() == words
    assert describe(path, "survived", drop=["fare"]).class_rows == (20, 20)


@pytest.mark.parametrize("target", [None, "state"])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_class_named_none(write, rows, target, ending):
    header, sep = f"u,v,{target or 'label'}", {"csv": ",", "tsv": "\t"}[ending]
    name = lambda i: ("None", "mild", "severe", "NA")[i % 4]  # noqa: E731
    content = rows(80, spread, other, name, header=header.replace(",", sep), sep=sep)
    path = write(f"a.{ending}", content)
    file = describe(path, target, options=ReadOptions(na=("?",)))
    assert dict(zip(file.classes, file.class_rows, strict=True)) == {
        "None": 20,
        "mild": 20,
        "severe": 20,
    }
    assert "'None' is a class; with --na None it is a missing value" in file.findings
    labels = np.concatenate([frames(file).y, frames(file).y_test])
    assert (labels == "None").sum() == 20
    as_missing = describe(path, target, options=ReadOptions(na=("None",)))
    assert as_missing.classes == ("mild", "severe")
    assert "left out: 40 rows without a target" in as_missing.findings


def test_none_among_numbers_is_missing(write, rows):
    content = rows(40, spread, lambda i: ("None", 1, 2, 3)[i % 4], header="u,y")
    assert describe(write("a.csv", content)).classes == ("1", "2", "3")


def test_several_names_of_a_target(refusal, rows):
    message = refusal("a.csv", rows(40, spread, label, label, header="u,y,label"))
    assert "several columns named target" in message
    assert message.endswith("a.csv --target y")


@pytest.mark.parametrize("given", ["knd", "KIND"])
def test_a_target_that_does_not_exist(given, refusal, rows):
    message = refusal("a.csv", rows(40, spread, label, header="u,kind"), given)
    assert message == f"no column {given!r} (did you mean 'kind'?); there are u, kind"
    assert refusal("a.csv", rows(40, spread, label, header="u,kind"), "zzz").endswith("u, kind")


def test_question_marks_among_numbers(write, refusal, rows):
    content = rows(40, lambda i: i if i % 9 else "?", other, label, header="age,v,y")
    message, command = refusal("a.csv", content).rsplit("\n", 1)
    assert "age ('?' in 5 rows, first in row 1)" in message
    assert command.endswith("a.csv --na '?'")
    path = write("a.csv", content)
    file = describe(path, options=ReadOptions(na=("?",)))
    assert pd.concat([frames(file).X, frames(file).X_test])["age"].isna().sum() == 5
    forced = describe(path, force=True)
    assert frames(forced).X["age"].dtype.kind == "O"


def test_decimal_commas_are_not_categories(write, rows):
    content = rows(40, lambda i: f'"{i},5"' if i % 9 else "?", other, label, header="age,v,y")
    file = describe(write("a.csv", content), options=ReadOptions(na=("?",)))
    values = pd.concat([frames(file).X, frames(file).X_test]).sort_index()["age"]
    assert values.dropna().tolist() == [i + 0.5 for i in range(40) if i % 9]


def test_tickets_are_texts_though_most_are_numbers(write, rows):
    content = rows(
        99, lambda i: 1000 + i % 80 if i % 4 else f"A/{i % 60}", other, label, header="t,v,y"
    )
    file = describe(write("a.csv", content))
    assert "texts of many values: 1 column (t)" in file.findings


def test_truth_values_with_missing_ones(write, rows):
    content = rows(60, lambda i: ["", True, False][i % 3], other, label, header="u,v,y")
    file = describe(write("a.csv", content))
    assert "other numbers: 1 column (u)" in file.findings
    assert np.isfinite(load(file, dtype="float32", seed=0).X).all()


def test_integers_of_any_size(write, rows):
    content = rows(60, lambda i: i % 7 * 10**30, other, label, header="u,v,y")
    file = describe(write("a.csv", content))
    assert file.as_numbers == ("u",)
    assert (frames(file).X.dtypes == np.float64).all()
    assert np.isfinite(load(file, dtype="float32", seed=0).X).all()


def test_what_says_nothing_is_left_out(write, rows):
    content = rows(
        40, lambda i: 7 * i % 40, lambda i: i + 5, lambda i: f"sample_{i}", spread,
        lambda i: f"Mr. {i} Smith", label, header=",row,id,u,name,y",
    )  # fmt: skip
    file = describe(write("a.csv", content))
    assert list(frames(file).X.columns) == ["u", "name"]
    for finding in ("Unnamed: 0 (without a name)", "row (counts the rows)", "id (an identifier)"):
        assert f"left out: {finding}" in file.findings


def test_what_counts_the_rows_does_so_beside_rows_without_a_target(write, rows):
    classes = lambda i: "" if i in (3, 20) else label(i)  # noqa: E731
    file = describe(write("a.csv", rows(40, lambda i: i + 5, spread, classes, header="row,u,y")))
    assert list(frames(file).X.columns) == ["u"]
    assert "left out: row (counts the rows)" in file.findings


def test_seasons_are_no_reason_to_refuse(write, rows):
    content = rows(40, lambda i: f"{2000 + i % 9}-{i % 9 + 1:02d}", other, label, header="s,v,y")
    assert describe(write("a.csv", content)).n_features >= 2


def test_a_target_of_24_texts(write, rows):
    file = describe(write("a.csv", rows(226, spread, lambda i: f"kind {i % 24}", header="u,y")))
    assert len(file.classes) == 24


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda i: i % 20 * 0.3, "20 different values in 40 rows, such as 0.0: a quantity or"),
        (lambda i: i // 2, "20 different values in 40 rows, such as 0: a quantity or an"),
        (lambda i: f"id{i // 2}", "20 different values in 40 rows, such as id0: a quantity or"),
        (lambda i: "rare" if i == 3 else label(i), "has one row only for rare; every class needs"),
    ],
    ids=["fractions", "numbers", "texts", "single"],
)
def test_targets_that_need_force(values, message, write, refusal, rows):
    content = rows(40, spread, other, values, header="u,v,y")
    text, command = refusal("a.csv", content).rsplit("\n", 1)
    assert message in text
    assert command.endswith("a.csv --force")
    file = describe(write("a.csv", content), force=True)
    parts = frames(file)
    assert min(file.class_rows) > 1
    assert set(map(str, [*parts.y, *parts.y_test])) == set(file.classes)


@pytest.mark.parametrize(
    ("values", "message"),
    [(lambda i: 1, "has only one class, 1"), (lambda i: i, "has no class with two rows")],
)
def test_targets_without_two_classes(values, message, refusal, rows):
    content = rows(40, spread, other, values, header="u,v,y")
    assert message in refusal("a.csv", content, force=True)


def test_rows_without_a_target_are_left_out(write, rows):
    file = describe(
        write("a.csv", rows(40, spread, lambda i: "" if i < 4 else i % 2, header="u,y"))
    )
    assert (file.classes, file.class_rows) == (("0", "1"), (18, 18))
    assert "left out: 4 rows without a target" in file.findings
    assert sorted([*frames(file).X.index, *frames(file).X_test.index]) == list(range(4, 40))


@pytest.mark.parametrize("value", ["inf", "-inf", "1e200"])
def test_numbers_too_large_to_scale(value, write, refusal, rows):
    content = rows(40, lambda i: value if i == 6 else i, other, label, header="big one,v,y")
    text, command = refusal("a.csv", content).rsplit("\n", 1)
    assert f"big one ({float(value):g} in row 7)" in text
    assert command.endswith("a.csv --drop 'big one'")
    assert describe(write("a.csv", content), drop=["big one"]).n_features == 1


def test_values_that_are_neither_numbers_nor_text(tmp_path):
    request = Request(tmp_path / "a.parquet", "y", (), ReadOptions(), force=False)
    frame = pd.DataFrame({"u": [[1], [2]], "v": pd.to_timedelta([1, 2], unit="s"), "w": [1, 2]})
    with pytest.raises(ValueError, match=r"u \(values of the type list\), v \(values.*Timedelta"):
        _check_values(request, frame)


def test_columns_to_drop(refusal, write, rows):
    content = rows(40, spread, other, label, header="u,v,y")
    message = refusal("a.csv", content, drop=["v", "uu"])
    assert message == "no column 'uu' (did you mean 'u'?); there are u, v, y"
    assert "no column 'y'" in refusal("a.csv", content, "y", drop=["y"])
    assert "no column beside the target" in refusal("a.csv", content, drop=["u", "v"])


def test_brackets_stay_in_every_note(write, rows):
    from fastlogit.benchmark.data_file import notes

    file = describe(write("[my] data.csv", rows(40, spread, label, header="[u],[y]")), "[y]")
    assert file.name == "[my] data"
    assert "target: the column '[y]'" in notes(file)
    assert notes(file)[0].startswith("[my] data.csv: 40 rows, 1 feature, 2 classes (a 20, b 20)")
