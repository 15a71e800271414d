import gzip

import numpy as np
import pandas as pd
import pytest
from file_columns import label, other, spread

from fastlogit.benchmark.data_file import ReadOptions, describe, frames, load

THREE = (spread, other, label)


@pytest.mark.parametrize("sep", [",", ";", "\t", "|", " "], ids=repr)
def test_the_delimiter_is_detected(sep, write, rows):
    file = describe(write("a.csv", rows(40, *THREE, header=sep.join("uvy"), sep=sep)))
    assert (file.n_features, file.classes, file.class_rows) == (2, ("a", "b"), (20, 20))
    assert file.findings[0] == f"delimiter {sep!r}, names in the first line"


def test_delimiters_within_names_do_not_count(write, rows):
    header = "Sample\td__Bacteria;p__Firmicutes;c__A\td__Bacteria;p__Actino;c__B\tclass"
    content = rows(40, lambda i: f"s{i}", spread, other, label, header=header, sep="\t")
    file = describe(write("a.tsv", content))
    assert (file.target, file.n_features) == ("class", 2)
    assert "left out: Sample (an identifier)" in file.findings
    assert list(frames(file).X.columns) == header.split("\t")[1:3]


def test_semicolons_and_decimal_commas(write, rows):
    content = rows(
        40, lambda i: f"{i % 7},5", lambda i: f"{other(i)},25", label,
        header="Alter, Jahre;Gewicht, kg;Klasse", sep=";",
    )  # fmt: skip
    file = describe(write("a.csv", content), "Klasse")
    assert file.findings[:2] == ("delimiter ';', names in the first line", "decimal: ','")
    parts = frames(file)
    ages = pd.concat([parts.X, parts.X_test]).sort_index()["Alter, Jahre"]
    assert ages.tolist() == [i % 7 + 0.5 for i in range(40)]


@pytest.mark.parametrize(
    ("sep", "text", "arguments"),
    [
        (";", "{}.234,25", {"decimal": ",", "thousands": "."}),
        (",", '"{},234.25"', {"thousands": ","}),
        (",", '"{},25"', {"decimal": ","}),
    ],
)
def test_marks_within_numbers(sep, text, arguments, write, rows):
    content = rows(40, lambda i: text.format(i % 7 + 1), other, label, header="u,v,y", sep=sep)
    file = describe(write("a.csv", content.replace("u,v,y", f"u{sep}v{sep}y")))
    assert arguments.items() <= dict(file.arguments).items()
    parts = frames(file)
    values = pd.concat([parts.X, parts.X_test]).sort_index()["u"]
    one = 1234.25 if "234" in text else 1.25
    step = 1000 if "234" in text else 1
    assert values.tolist() == [one + step * (i % 7) for i in range(40)]


def test_a_decimal_mark_that_the_user_names_is_not_doubted(write, rows):
    path = write("a.csv", rows(40, lambda i: f'"{i % 7},5"', other, label, header="u,v,y"))
    file = describe(path, options=ReadOptions(decimal="."))
    assert frames(file).X["u"].str.endswith(",5").all()


@pytest.mark.parametrize(
    ("start", "skipped"),
    [("sep=,\n", "'sep=,'"), ("# made by hand\n# in May\n", "'# made by hand', '# in May'")],
)
def test_lines_before_the_header_are_skipped(start, skipped, write, rows):
    file = describe(write("a.csv", start + rows(40, *THREE, header="u,v,y")))
    assert (file.n_samples, file.n_features, file.target) == (40, 2, "y")
    assert f"skipped: {skipped}" in file.findings


@pytest.mark.parametrize("first", [spread, label], ids=["numbers", "texts"])
def test_a_first_line_of_values_is_no_header(first, write, rows):
    path = write("a.csv", rows(40, first, lambda i: "pqr"[i % 3], label))
    file = describe(path, "column2")
    assert (file.n_samples, file.class_rows) == (40, (20, 20))
    assert file.findings[0] == "delimiter ',', no header: the columns are column0, …"


def test_no_header_is_what_the_user_says(write, rows):
    path = write("a.csv", rows(40, *THREE, header="u,v,w"))
    file = describe(path, "column2", options=ReadOptions(header=False), force=True)
    assert "left out: 1 row of a class with one" in file.findings


def test_row_names_without_a_header_of_their_own(write, rows):
    file = describe(write("a.csv", rows(40, lambda i: f"row{i}", *THREE, header="u,v,y")))
    assert list(frames(file).X.columns) == ["u", "v"]
    assert file.n_samples == 40


@pytest.mark.parametrize("header", ["u,v,y,", "u,v,y"])
def test_delimiters_at_the_end_of_lines(header, write, rows):
    file = describe(write("a.csv", rows(40, *THREE, lambda i: "", header=header)))
    assert list(frames(file).X.columns) == ["u", "v"]
    assert file.classes == ("a", "b")


def test_one_name_twice(write, rows):
    file = describe(write("a.csv", rows(40, spread, other, label, header="u,u,y")))
    assert list(frames(file).X.columns) == ["u", "u.1"]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", ""), ("utf-8-sig", ""), ("cp1252", "cp1252"), ("utf-16", "utf-16")],
)
def test_encodings(encoding, found, write, rows):
    content = rows(40, spread, other, lambda i: "äb"[i % 2], header="größe,v,y")
    file = describe(write("a.csv", content.encode(encoding)))
    assert file.classes == ("b", "ä")
    assert "größe" in frames(file).X
    assert (f"encoding: '{found}'" in file.findings) == bool(found)


def test_an_encoding_that_does_not_fit(refusal, rows):
    content = rows(40, spread, other, lambda i: "äb"[i % 2], header="u,v,y").encode("cp1252")
    message = refusal("a.csv", content, options=ReadOptions(encoding="utf-8"))
    assert "a.csv is not text in its encoding ('utf-8' codec can't decode" in message
    assert message.splitlines()[-1].endswith("a.csv --encoding latin-1")
    assert "unknown encoding" in refusal("a.csv", content, options=ReadOptions(encoding="nonsense"))


def test_missing_values_are_marked_as_the_user_says(write, rows):
    path = write("a.csv", rows(40, lambda i: "-9" if i < 3 else i, other, label, header="u,v,y"))
    file = describe(path, options=ReadOptions(na=["-9"]))
    assert pd.concat([frames(file).X, frames(file).X_test])["u"].isna().sum() == 3
    assert "missing values are imputed: 1 column (u)" in file.findings


def test_a_packed_file(write, rows, tmp_path):
    plain = rows(40, *THREE, header="u,v,y").encode()
    file = describe(write("a.csv.gz", gzip.compress(plain)))
    assert (file.name, file.n_samples, file.n_features) == ("a", 40, 2)
    (tmp_path / "cut.csv.gz").write_bytes(file.path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"cannot read .*cut\.csv\.gz: Compressed file ended"):
        describe(tmp_path / "cut.csv.gz")
    (tmp_path / "none.csv.gz").write_bytes(plain)
    with pytest.raises(ValueError, match=r"cannot read .*none\.csv\.gz: Not a gzipped file"):
        describe(tmp_path / "none.csv.gz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.csv is empty"),
        ("\n\n", "a.csv is empty"),
        ("u,v,y\n", "a.csv has no rows"),
        ("u,v,y\n1,2,a\n1,2,a,4\n", "Expected 3 fields in line 3, saw 4"),
    ],
    ids=["empty", "blank", "header", "ragged"],
)
def test_what_is_no_table(content, message, refusal):
    assert message in refusal("a.csv", content)


def test_a_delimiter_of_two_characters(refusal, rows):
    content = rows(9, *THREE, header="u,v,y")
    assert "--sep '::' must be one character" in refusal(
        "a.csv", content, options=ReadOptions("::")
    )


def test_a_wrong_delimiter_has_one_column(refusal, rows):
    content = rows(9, *THREE, header="u,v,y")
    message = refusal("a.csv", content, options=ReadOptions(sep="tab"))
    assert message.startswith("a.csv has one column only, 'u,v,y'. Perhaps its delimiter")
    assert message.endswith("a.csv --sep ,")


def test_quoted_fields_hold_delimiters_and_line_ends(write, rows):
    content = rows(40, spread, lambda i: '"p, q"' if i % 3 else '"r\ns"', label, header="u,v,y")
    file = describe(write("a.csv", content))
    assert file.n_samples == 40
    assert set(frames(file).X["v"]) == {"p, q", "r\ns"}


def test_spaces_after_delimiters(write, rows):
    file = describe(write("a.csv", rows(40, *THREE, header="u,v,y").replace(",", ", ")))
    assert (file.target, file.classes) == ("y", ("a", "b"))


def test_a_header_longer_than_the_csv_module_takes(write, rows):
    names = [f"ENSG{i:011d}.some_gene" for i in range(6000)]
    values = np.random.default_rng(0).integers(0, 99, (20, len(names)))
    frame = pd.DataFrame(values, columns=names).assign(y=[*"ab"] * 10)
    assert len(",".join(names)) > 131_072
    file = describe(write("genes.csv", frame.to_csv(index=False)))
    assert file.n_features == len(names)
    assert load(file, dtype="float32", seed=0).X.shape == (16, len(names))
