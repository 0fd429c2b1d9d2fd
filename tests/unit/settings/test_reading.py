"""Reading a file: an unambiguous part of YAML, the place of every value, every fault in one pass."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.reading import FILE_BYTES_MAX, Document, read_document, read_text


def read(text: str) -> Document:
    document = Document("some.yaml")
    read_text(document, text)
    return document


def test_values_and_their_places_are_kept() -> None:
    document = read('a:\n  b: [1, "1", x]\n  c: 0.10\nd: |\n  two\n  lines\ne:\n')
    assert document.faults == []
    assert document.value == {
        "a": {"b": (1, "1", "x"), "c": Decimal("0.10")},
        "d": "two\nlines\n",
        "e": None,
    }
    assert document.place(("a", "b", 1)) == (2, 10)
    assert document.place(("a", "c"), key=True) == (3, 3)
    assert document.place(("a", "missing")) == (1, 1)
    assert document.place(("nowhere", "at", "all")) == (1, 1)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read("{10: a, no: b, 1e3: c, 007: d}").value == {"10": "a", "no": "b", "1e3": "c", "007": "d"}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: &x 1\n", (1, 4), "an anchor"),
        ("a: 1\nb: *x\n", (2, 4), "an alias"),
        ("a: !!str 1\n", (1, 4), "a tag"),
        ("a: !!python/object/apply:os.system [x]\n", (1, 4), "a tag"),
        ("a:\n  - ok\n  - !secret x\n", (3, 5), "a tag"),
        ("a: 1\nb: 2\na: 3\n", (3, 1), "the key is given twice"),
        ("x: {a: 1, a: 2}\n", (1, 11), "the key is given twice"),
        ("[a]: 1\n", (1, 1), "a key must be one printable word"),
        ('"": 1\n', (1, 1), "a key must be one printable word"),
        ('"a\\0": 1\n', (1, 1), "a key must be one printable word"),
        ('a: "\\0"\n', (1, 4), "an unprintable character"),
        ('a: "\\ud800"\n', (1, 4), "an unprintable character"),
        ("a: no\n", (1, 4), "some readers take this for a truth value"),
        ("\ta: 1\n", (1, 1), "a tab"),
        ("a: 1\nb:\n\tc: 2\n", (3, 1), "a tab"),
        ("a:\n\tb: 1\n   c: 2\n", (2, 1), "a tab"),
        ("a: 1 \t# why\n", (1, 6), "a tab"),
        ("a: x\u200by\n", (1, 5), "an invisible character"),
        ("a: x\u202ey\n", (1, 5), "an invisible character"),
        ("a: x\x00y\n", (1, 5), "an invisible character"),
        ("a: \ufffe\n", (1, 4), "a character YAML does not know"),
        ("a: [1, 2\nb: 3\n", (2, 2), "not readable as YAML"),
        ("a: 'x\n", (2, 1), "not readable as YAML"),
        ('a: "\\UFFFFFFFF"\n', (1, 7), "not readable as YAML"),
        ("a: 1\n---\nb: 2\n", (2, 1), "a second document"),
        ("- a\n- b\n", (1, 1), "the file must be a mapping of keys to values"),
        ("just words\n", (1, 1), "the file must be a mapping of keys to values"),
        ("a: " + "[" * 5000 + "\n", (1, 23), "nested deeper than 20 levels"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_where_it_stands(text: str, place: tuple[int, int], message: str) -> None:
    faults = read(text).faults
    assert [(fault.line, fault.column, fault.message) for fault in faults] == [(*place, message)]


def test_a_second_key_does_not_replace_the_first_and_names_its_line() -> None:
    document = read("a: 1\n\na: 2\n")
    assert document.value == {"a": 1}
    assert document.faults[0].hint == "the first is in line 1"


def test_all_faults_of_a_file_are_found_in_one_pass() -> None:
    document = read("a: no\nb: 010\nb: 1\nc: *x\nd: [1e3, ok, 12:30]\n")
    assert [fault.line for fault in document.faults] == [1, 2, 3, 4, 5, 5]


def test_an_alias_bomb_multiplies_nothing() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    document = read("\n".join(rows))
    assert all(fault.message in ("an anchor", "an alias") for fault in document.faults)
    assert set(document.value.values()) == {None}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems_count_the_same(end: str) -> None:
    document = read(end.join(["a: 1", "b: no", ""]))
    assert [(fault.line, fault.column) for fault in document.faults] == [(2, 4)]


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert read("").value == {}
    assert read("# only words\n").faults == []


def test_files_that_cannot_be_read_are_faults_without_a_guess(tmp_path: Path) -> None:
    missing, folder = tmp_path / "missing.yaml", tmp_path / "folder.yaml"
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    folder.mkdir()
    large.write_bytes(b"a" * (FILE_BYTES_MAX + 1))
    binary.write_bytes(b"a: 1\nb: \xff\n")
    told = [read_document(path).faults for path in (missing, folder, large, binary)]
    assert [fault.message.split(" than ")[0] for (fault,) in told] == [
        "the file is missing",
        "the file cannot be read",
        "the file is larger",
        "the file is not UTF-8 text",
    ]
    assert [(fault.line, fault.column) for (fault,) in told] == [(0, 0), (0, 0), (0, 0), (2, 4)]
    assert not any(read_document(path).readable for path in (missing, folder, large, binary))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert (read_document(path).value, read_document(path).faults) == ({"a": 1}, [])


_PIECES = st.sampled_from(["a", "b:", ": ", "\n", "  ", "- ", "{", "}", "[", "]", ",", "&x ", "*x", "!t ", "!!int "])
_MORE = st.sampled_from(['"', "'", "|\n", "? ", "<<: ", "%YAML 1.1\n", "---\n", "\t", "#", "\\U", "\\x", "010", "1e3"])


@given(st.one_of(st.text(max_size=80), st.lists(st.one_of(_PIECES, _MORE), max_size=30).map("".join)))
def test_no_text_makes_the_reader_raise_and_each_fault_has_a_place(text: str) -> None:
    document = read(text)
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
    assert document.readable or document.faults
    assert all(1 <= fault.line <= lines + 1 for fault in document.faults)


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "any.yaml"
    path.write_bytes(content)
    document = read_document(path)
    assert document.readable or document.faults
