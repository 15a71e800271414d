import pytest

from fastlogit.benchmark.command import option, recorded


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("run --out here", "here"),
        ("run --out=here", "here"),
        ("run --out=", ""),
        ("", None),
        ("run --out first -m softmax --out=last", "last"),
        ("run --outer here", None),
        ("run", None),
        ("run --out", None),
    ],
)
def test_an_option_is_found_however_it_is_spelled(words, value):
    assert option(words.split(), "--out") == value


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("run --data /home/me/a.csv --target y", "run --data a.csv --target y"),
        ("run --data=../me/a.csv --out /runs", "run --data=a.csv --out /runs"),
        ("run --data a.csv", "run --data a.csv"),
        ("run -d iris --out /runs", "run -d iris --out /runs"),
    ],
)
def test_a_command_is_kept_without_where_the_file_lies(words, kept):
    assert recorded(words.split()) == kept.split()
