from __future__ import annotations

import pytest

from shared.errors import InvalidInput
from shared.tabular.table import read_table

ROWS = "1,x\n2,y\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \r\n\n", "empty"),
        (b"PK\x03\x04 and more", "a workbook or an archive"),
        (b"a;b\n1;x\n", "divided by semicolons"),
        (b"a;b\n0,5;x\n", "divided by semicolons"),
        (b"a\tb\n1\tx\n", "divided by tabs"),
        (b"a|b\n1|x\n", "divided by bars"),
        ("größe,b\n1,x\n".encode("latin-1"), "save it as UTF-8"),
        ("a,b\n1,ü\n".encode("latin-1"), "save it as UTF-8"),
        ("a,b\n1,x\n".encode("utf-16"), "save it as UTF-8"),
        (b"a,b\n1,x\n2,y,z\n", "Row #3: Expected 2 columns, got 3"),
        (b"a,a\n1,x\n", "two columns of one name: a"),
    ],
)
def test_what_isnt_csv_as_it_is_here_is_refused_in_words_that_help(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_table(content, "csv")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (f"a,b\n{ROWS}".encode(), ["a", "b"]),
        (f"\ufeffa,b\n{ROWS}".encode(), ["a", "b"]),
        (f"a,b\n{ROWS}".replace("\n", "\r\n").encode(), ["a", "b"]),
        (f'"the, a","b ""c"""\n{ROWS}'.encode(), ["the, a", 'b "c"']),
        (f'"a\nline","b;c"\n{ROWS}'.encode(), ["a\nline", "b;c"]),
        (f"größe,b\n{ROWS}".encode(), ["größe", "b"]),
    ],
)
def test_a_header_is_read_however_it_is_written(content: bytes, names: list[str]) -> None:
    table = read_table(content, "csv")
    assert table.column_names == names
    assert table.column(0).to_pylist() == ["1", "2"]


def test_a_header_alone_is_a_table_without_rows() -> None:
    assert read_table(b"a,b\n", "csv").shape == (0, 2)
