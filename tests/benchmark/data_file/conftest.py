import pytest

from fastlogit.benchmark import data_file


@pytest.fixture
def write(tmp_path):
    """Write a file of text or bytes, and return its path."""

    def written(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.fixture
def refusal(write):
    """Return the message that refuses a file."""

    def refused(name, content, target=None, **keywords):
        with pytest.raises(ValueError, match=r".") as caught:
            data_file.describe(write(name, content), target, **keywords)
        return str(caught.value)

    return refused


@pytest.fixture
def rows():
    """Return lines of a CSV file, each column a function of the row's number."""

    def made(n, *columns, header="", sep=","):
        lines = [header] * bool(header)
        lines += [sep.join(str(column(i)) for column in columns) for i in range(n)]
        return "\n".join(lines) + "\n"

    return made
