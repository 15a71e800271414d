"""How a command ends."""

import io

import pytest
import typer
from rich.console import Console

from fastlogit.cli.ending import consoles, refuse


def test_prose_wraps_at_word_ends_and_commands_stay_whole():
    console = consoles()[1]
    console.file, console._force_terminal, console.width = io.StringIO(), True, 30
    command = "fastlogit bench run --data 'a file.csv' --target colour"
    with pytest.raises(typer.Exit) as end:
        refuse(console, f"there is no such column [colour] in it. Try:\n  {command}")
    assert end.value.exit_code == 2
    lines = console.file.getvalue().splitlines()
    assert [line.strip() for line in lines] == [
        "Error: there is no such column", "[colour] in it. Try:", command,
    ]  # fmt: skip


def test_a_log_gets_one_line():
    console = Console(file=io.StringIO(), width=30)
    with pytest.raises(typer.Exit):
        refuse(console, "a message that is longer than a line")
    assert console.file.getvalue().count("\n") == 1


def test_user_text_is_not_markup(capsys):
    for console in consoles():
        console.print("my [bold]file[/] :car:.csv")
    assert capsys.readouterr() == ("my [bold]file[/] :car:.csv\n",) * 2
