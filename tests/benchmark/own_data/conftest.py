"""Files as users have them."""

import gzip

import pytest

from fastlogit.benchmark import own_data


@pytest.fixture
def write(tmp_path):
    """Write text or bytes into a file of that name, packed where the name says so."""

    def to(name, content):
        content = content if isinstance(content, bytes) else content.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return to


@pytest.fixture
def refusal(write):
    """Give the message with which a file is refused."""

    def of(name, content, *args, **kwargs):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the tests look at the message
            own_data.describe(write(name, content), *args, **kwargs)
        return str(caught.value)

    return of


@pytest.fixture
def load(write):
    """Describe a file and load it with seed 0 in float64."""

    def of(name, content, *args, seed=0, dtype="float64", **kwargs):
        source = own_data.describe(write(name, content), *args, **kwargs)
        return source, own_data.load(source, dtype=dtype, seed=seed)

    return of


def table(n, *columns, header, delimiter=","):
    """Spell n rows out, each column given as a function of the row's number."""
    lines = [delimiter.join(str(column(row)) for column in columns) for row in range(n)]
    return "\n".join([header, *lines, ""])


@pytest.fixture(name="table")
def table_fixture():
    return table
