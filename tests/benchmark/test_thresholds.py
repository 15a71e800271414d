import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlogit.benchmark.thresholds import Rule, Thresholds, load_thresholds, parse_slowdown

CELL = "softmax/digits/sgd/b32/float32/t1/e77/s0"


@pytest.mark.parametrize(
    ("value", "share"),
    [
        *(("10%", 0.1), (" 10 % ", 0.1), ("0.1", 0.1), (".5", 0.5), (0.1, 0.1), (0, 0.0)),
        *(("0%", 0.0), ("150%", 1.5), ("2.5%", 0.025)),
    ],
)
def test_shares_are_read(value, share):
    assert parse_slowdown(value) == pytest.approx(share)


@given(st.floats(0, 1000))
def test_per_cent_are_hundredths(share):
    assert parse_slowdown(f"{share:.6f}%") == pytest.approx(share / 100, abs=1e-8)


@pytest.mark.parametrize(
    "value",
    ["", "ten", "-5%", "10 %%", "nan", "inf", float("nan"), float("inf"), -0.1, True, [0.1]],
)
def test_what_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match=r"--max-slowdown is .*; it must be a share of the time"):
        parse_slowdown(value, "--max-slowdown")


@pytest.mark.parametrize("value", ["10", 10, 1, 1.0])
def test_a_bare_number_that_was_meant_in_per_cent_is_refused(value):
    with pytest.raises(ValueError, match=r"for per cent write '10?%'"):
        parse_slowdown(value)


@pytest.fixture
def read(tmp_path):
    def read(text, **options):
        path = tmp_path / "thresholds.toml"
        path.write_text(text)
        return load_thresholds(path, **options)

    return read


def test_the_last_pattern_that_matches_counts(read):
    thresholds = read(
        """
        default = "10%"
        [impl.torch]
        "*/digits/*" = "50%"
        [cells]
        "softmax/*" = "20%"
        "*/digits/*" = 0.3
        """
    )
    assert thresholds.of(CELL, "numba") == 0.3
    assert thresholds.of(CELL, "torch") == 0.5
    assert thresholds.of(CELL.replace("digits", "iris"), "torch") == 0.2
    assert thresholds.of(CELL.replace("softmax", "logistic"), "numba") == 0.3
    assert thresholds.of("logistic/iris/sgd", "numba") == 0.1


def test_the_command_line_goes_over_the_file_s_default(read):
    assert read('default = "10%"').default == 0.1
    assert read('default = "10%"', default=0.2).default == 0.2
    assert read("").default == 0.05


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("default = ", "thresholds.toml is not TOML"),
        ("defualt = 0.1", r"no entry 'defualt' \(did you mean 'default'\?\)"),
        ('default = "fast"', "default is 'fast'; it must be"),
        ("cells = 0.1", r"\[cells\] is 0.1; it must be a table"),
        ("impl = 0.1", r"\[impl\] is 0.1; it must be a table"),
        ("[impl]\nnumba = 0.1", r"\[impl.numba\] is 0.1; it must be a table"),
        ('[cells]\n"*" = 10', r"'\*' in \[cells\] is 10; for per cent write '10%'"),
        ('[impl.numba]\n"*" = "x"', r"'\*' in \[impl.numba\] is 'x'"),
    ],
)
def test_a_bad_entry_is_named(read, text, complaint):
    with pytest.raises(
        ValueError, match=r"thresholds\.toml.*" + complaint.split("thresholds.toml")[-1]
    ):
        read(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read the thresholds: .*nowhere\.toml"):
        load_thresholds(tmp_path / "nowhere.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "t.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"t\.toml is not TOML"):
        load_thresholds(tmp_path / "t.toml")


def test_a_pattern_that_matches_nothing_is_refused():
    pairs = [(CELL, "numba"), (CELL, "numpy")]
    Thresholds(0.1, (Rule("softmax/*", "numba", 0.2), Rule("*", None, 0.3))).check_matches(pairs)
    for rule, name in (
        (Rule("softmaxx/*", None, 0.2), r"'softmaxx/\*' in \[cells\]"),
        (Rule("softmax/*", "torch", 0.2), r"'softmax/\*' in \[impl.torch\]"),
    ):
        with pytest.raises(ValueError, match=f"the threshold {name} matches no cell of both runs"):
            Thresholds(0.1, (rule,)).check_matches(pairs)
