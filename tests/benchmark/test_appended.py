import errno
import os
from dataclasses import dataclass

import pytest

from fastlogit.benchmark.appended import AppendedTable, replace_file

resource = pytest.importorskip("resource")


@dataclass
class Row:
    name: str
    value: float | None = None
    good: bool | None = None


COLUMNS = ("name", "value", "good")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "t.csv.partial"


def test_rows_are_in_the_partial_file_at_once(path, partial):
    table = AppendedTable(path, COLUMNS)
    assert partial.read_text() == "name,value,good\n"
    table.append([Row("a", 0.1, True), Row("b", None, False)])
    assert partial.read_text() == "name,value,good\na,0.1,true\nb,,false\n"
    assert table.present == partial
    table.finish()
    table.close()
    assert not partial.exists()
    assert table.present == path
    assert path.read_text() == "name,value,good\na,0.1,true\nb,,false\n"


def test_every_append_is_on_the_disk_before_it_returns(path, monkeypatch):
    table = AppendedTable(path, COLUMNS)
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    table.append([Row("a")])
    table.append([Row("b"), Row("c")])
    table.close()
    assert synced == [len("name,value,good\na,,\n"), len("name,value,good\na,,\nb,,\nc,,\n")]


def test_a_row_is_one_line_whatever_its_text(path):
    texts = ['quotes " and, commas', "two\nlines", "three\r\nof\vthem", "héllo"]
    table = AppendedTable(path, COLUMNS)
    table.append(map(Row, texts))
    assert [row["name"] for row in table.rows()] == [" ".join(text.splitlines()) for text in texts]
    assert len(path.with_suffix(".csv.partial").read_bytes().splitlines()) == 5
    table.close()


@pytest.mark.parametrize("tail", ["b", "b,1", "b,1,tr", 'b,"1'])
def test_half_a_row_is_none_and_is_dropped(path, partial, tail):
    partial.write_text("name,value,good\na,,\n" + tail)
    table = AppendedTable(path, COLUMNS)
    assert table.rows() == [{"name": "a", "value": "", "good": ""}]
    table.replace(table.rows())
    table.append([Row("c")])
    table.close()
    assert partial.read_text() == "name,value,good\na,,\nc,,\n"


def test_what_is_behind_a_broken_row_is_not_read(path, partial):
    partial.write_text("name,value,good\na,,\nb\nc,,\n")
    table = AppendedTable(path, COLUMNS)
    assert [row["name"] for row in table.rows()] == ["a"]
    table.close()


def test_rows_are_replaced_all_or_none(path, partial, monkeypatch):
    partial.write_text('name,value,good\na,,\n"b, or c",0.1,true\nd,,\n')
    before = partial.read_bytes()
    table = AppendedTable(path, COLUMNS)
    table.replace(table.rows())
    assert partial.read_bytes() == before

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as error:
            table.replace([])
    assert error.value.filename == str(partial)
    assert partial.read_bytes() == before
    table.replace(table.rows()[1:2])
    table.append([Row("e")])
    table.close()
    assert partial.read_text() == 'name,value,good\n"b, or c",0.1,true\ne,,\n'
    assert list(path.parent.iterdir()) == [partial]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch, step):
    path = tmp_path / "a.txt"
    replace_file(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(step, lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full") as error:
            replace_file(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("text", ["", "name,va"])
def test_half_a_header_is_written_anew(path, partial, text):
    partial.write_text(text)
    table = AppendedTable(path, COLUMNS)
    assert table.rows() == []
    table.close()
    assert partial.read_text() == "name,value,good\n"


def test_other_columns_are_refused_and_left_alone(path, partial):
    partial.write_text("name,weight\na,1\n")
    with pytest.raises(ValueError, match=r"t\.csv\.partial has other columns"):
        AppendedTable(path, COLUMNS)
    assert partial.read_text() == "name,weight\na,1\n"


def test_a_finished_table_is_partial_again_once_it_is_gone_on_with(path, partial):
    path.write_text("name,value,good\na,,\n")
    table = AppendedTable(path, COLUMNS)
    table.append([Row("b")])
    table.close()
    assert not path.exists()
    assert partial.read_text() == "name,value,good\na,,\nb,,\n"


def test_a_disk_that_fills_up_in_the_middle_of_a_row_costs_these_rows(path, partial):
    table = AppendedTable(path, COLUMNS)
    table.append([Row("a")])
    whole = partial.read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:  # the system writes what there is room for, then fails
        with pytest.raises(OSError, match="File too large") as error:
            table.append([Row("b"), Row("c" * 200)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(partial))
    assert partial.read_text() == whole
    table.append([Row("d")])
    table.close()
    assert partial.read_text() == whole + "d,,\n"
