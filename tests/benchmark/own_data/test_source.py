import hashlib
import json
import pickle
from pathlib import Path

import pytest

from fastlogit.benchmark import own_data
from fastlogit.benchmark.own_data import Source

SOURCE = Source(
    path=Path("/home/somebody/my.flowers.csv.gz"),
    target="species",
    drop=("id",),
    sha256="ab" * 32,
    size_bytes=1234,
    n_features=4,
    classes=("rose", "tulip"),
    class_rows=(1200, 9),
    notes=("3 columns of numbers are scaled",),
)


def test_sizes_follow_from_the_classes():
    assert (SOURCE.n_samples, SOURCE.n_train) == (1209, 1209 - 240 - 1)


@pytest.mark.parametrize(
    ("file", "name"),
    [("a.csv", "a"), ("a.csv.gz", "a"), ("a.b.CSV.GZ", "a.b"), ("a b.parquet", "a b")],
)
def test_the_name_is_the_file_without_its_ending(file, name):
    source = Source(Path("/x.y/z") / file, "y", (), "", 1, 1, ("a", "b"), (2, 2))
    assert source.name == name


def test_it_can_be_sent_to_another_process_and_be_a_key():
    copy = pickle.loads(pickle.dumps(SOURCE))  # noqa: S301
    assert copy == SOURCE
    assert len({SOURCE, copy}) == 1


def test_facts_say_nothing_of_the_machine():
    facts = own_data.facts(SOURCE)
    text = json.dumps(facts)
    assert "somebody" not in text
    assert facts["file"] == "my.flowers.csv.gz"
    assert facts["classes"] == {"rose": 1200, "tulip": 9}
    assert (facts["n_samples"], facts["n_train"], facts["n_features"]) == (1209, 968, 4)
    assert facts["notes"] == own_data.notes(SOURCE)


def test_notes_are_sentences_for_the_start_of_a_run():
    assert own_data.notes(SOURCE) == [
        "my.flowers.csv.gz: 1,209 rows, 4 features, 2 classes (rose 1,200, tulip 9)",
        "3 columns of numbers are scaled",
        "968 rows are trained on; 241, a fifth of each class, are held out to test on",
        "with a single row to test on: tulip",
    ]


def test_the_digest_is_of_the_bytes_of_the_file(write):
    path = write("a.csv.gz", "a,y\n1,0\n2,1\n3,0\n5,1\n")
    source = own_data.describe(path)
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.size_bytes == path.stat().st_size


def test_a_relative_path_is_found_from_elsewhere(write, monkeypatch, tmp_path):
    write("a.csv", "a,y\n1,0\n2,1\n3,0\n5,1\n")
    monkeypatch.chdir(tmp_path)
    source = own_data.describe("a.csv")
    monkeypatch.chdir("/")
    assert own_data.load(source, dtype="float32", seed=0).X.shape == (2, 1)
