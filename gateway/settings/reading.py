"""Reading: one YAML file -> plain values, and the place of every key and value.

A small, unambiguous part of YAML is read: mappings, lists, words. No anchors, aliases, tags, tabs or second
documents. Words are read by `scalars`; keys are always text; every fault of the file is found in one pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.settings.faults import Fault, Trail, spell
from gateway.settings.scalars import Surprise, plain

FILE_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 20

Place = tuple[int, int]

_START: Place = (1, 1)
_INVISIBLE = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# What an escape inside quotes may not smuggle in. Line breaks are fine: key files in PEM form have them.
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass
class Document:
    """One file as read.

    Attributes:
        file: its path, as faults name it.
        value: nested dicts, tuples and scalars; empty when nothing could be read.
        faults: what is wrong with it as YAML.
        keys: the place of each key.
        places: the place of each value.
        spoiled: values that already have a fault; more about them would be noise.
        readable: False when reading stopped early, so that what is missing says nothing.
    """

    file: str
    value: dict[str, object] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    keys: dict[Trail, Place] = field(default_factory=dict)
    places: dict[Trail, Place] = field(default_factory=dict)
    spoiled: set[Trail] = field(default_factory=set)
    readable: bool = True

    def place(self, trail: Trail, *, key: bool = False) -> Place:
        """Line and column of the value at `trail`, or of its key; of the nearest key above when it is absent."""
        found = (self.keys if key else self.places).get(trail)
        if found is not None:
            return found
        above = (trail[:length] for length in range(len(trail), 0, -1))
        return next((self.keys[step] for step in above if step in self.keys), _START)

    def fault(self, trail: Trail, message: str, hint: str = "", *, key: bool = False) -> Fault:
        """A fault about the value (or the key) at `trail`."""
        return Fault(self.file, *self.place(trail, key=key), spell(trail), message, hint)

    def stop(self, place: Place, message: str, hint: str = "") -> None:
        """Note a fault after which nothing more of the file can be read."""
        self.faults.append(Fault(self.file, *place, "", message, hint))
        self.readable = False


def read_document(path: Path) -> Document:
    """Read the file at `path`. Whatever is wrong with it is in the answer's `faults`; nothing is raised."""
    document = Document(str(path))
    try:
        with path.open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        document.stop((0, 0), "the file is missing")
        return document
    except OSError:
        document.stop((0, 0), "the file cannot be read", "look at its kind and permissions")
        return document
    if len(content) > FILE_BYTES_MAX:
        document.stop((0, 0), f"the file is larger than {FILE_BYTES_MAX} bytes")
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.stop(_after(content[: error.start].decode("utf-8-sig")), "the file is not UTF-8 text")
        return document
    read_text(document, text)
    return document


def read_text(document: Document, text: str) -> None:
    """Fill `document` with what `text` says."""
    for place, character, indents in _invisible(text):
        if character == "\t":
            message, hint = "a tab", "write spaces"
        else:
            message, hint = "an invisible character", "delete it, or write it as an escape in double quotes"
        document.faults.append(Fault(document.file, *place, "", message, hint))
        document.readable &= not indents
    if not document.readable:
        return
    try:
        loader = _Loader(_INVISIBLE.sub(" ", text))
    except yaml.reader.ReaderError as error:
        document.stop(_after(text[: error.position]), "a character YAML does not know")
        return
    root = _root(loader, document)
    if isinstance(root, yaml.MappingNode):
        _Walk(document, loader.notes).mapping(root, ())
    elif root is not None:
        document.stop(_place(root.start_mark), "the file must be a mapping of keys to values")


def _invisible(text: str) -> Iterator[tuple[Place, str, bool]]:
    """Each invisible character: its place, itself, and whether it stands in an indentation."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        for found in _INVISIBLE.finditer(line):
            indents = not line[: found.start()].strip(" \t") and bool(line[found.end() :].strip())
            yield (number, found.start() + 1), found.group(), indents


class _TooDeepError(Exception):
    """Nesting beyond DEPTH_MAX, which begins at `mark`."""

    def __init__(self, mark: yaml.Mark | None) -> None:
        super().__init__()
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, which notes what we refuse instead of obeying it.

    `notes` is keyed by the identity of a node, which lives as long as the tree it is part of.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.notes: dict[int, Surprise] = {}
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node; an alias becomes an empty word, so that it can never multiply anything."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it untyped
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]  # as above
            mark: Any = event.start_mark
            node: yaml.Node | None = yaml.ScalarNode("", "", mark, mark)
            self._note(node, Surprise("an alias", "write the value out; words that begin with * need quotes"))
            return node
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _TooDeepError(event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None:
            self._note(node, Surprise("an anchor", "write the value out; words that begin with & need quotes"))
        elif event.tag is not None:
            self._note(node, Surprise("a tag", "leave it out; words that begin with ! need quotes"))
        return node

    def _note(self, node: yaml.Node | None, surprise: Surprise) -> None:
        self.notes[id(node)] = surprise


def _root(loader: _Loader, document: Document) -> yaml.Node | None:
    try:
        return loader.get_single_node()
    except _TooDeepError as error:
        document.stop(_place(error.mark), f"nested deeper than {DEPTH_MAX} levels")
    except yaml.composer.ComposerError as error:
        document.stop(_place(error.problem_mark), "a second document", "one file holds one document")
    except yaml.MarkedYAMLError as error:
        hint = "look at indentation, quotes, brackets and colons here and in the line above"
        document.stop(_place(error.problem_mark), "not readable as YAML", hint)
    # PyYAML lets Python's own errors through for numbers out of range in escapes and directives.
    except (yaml.YAMLError, ValueError, OverflowError):
        document.stop(_place(loader.get_mark()), "not readable as YAML")
    finally:
        loader.dispose()
    return None


class _Walk:
    """From PyYAML's nodes to plain values. The depth is bounded by the loader."""

    def __init__(self, document: Document, notes: dict[int, Surprise]) -> None:
        self._document = document
        self._notes = notes

    def mapping(self, node: yaml.MappingNode, trail: Trail) -> None:
        self._document.value = self._mapping(node, trail)
        self._noted(node, trail)

    def _value(self, node: yaml.Node, trail: Trail) -> object:
        self._document.places[trail] = _place(node.start_mark)
        if self._noted(node, trail):
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, trail)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self._value(child, (*trail, index)) for index, child in enumerate(node.value))
        return self._scalar(node, trail) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, trail: Trail) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, trail)
            if key is None:
                continue
            below = (*trail, key)
            if key in values:
                first = self._document.keys[below][0]
                place = _place(key_node.start_mark)
                self._add(below, place, "the key is given twice", f"the first is in line {first}")
                continue
            self._document.keys[below] = _place(key_node.start_mark)
            values[key] = self._value(value_node, below)
        return values

    def _key(self, node: yaml.Node, trail: Trail) -> str | None:
        place = _place(node.start_mark)
        note = self._notes.get(id(node))
        if note is not None:
            self._add(trail, place, note.message, note.hint)
            return None
        if not isinstance(node, yaml.ScalarNode) or not node.value or not node.value.isprintable():
            self._add(trail, place, "a key must be one printable word")
            return None
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode, trail: Trail) -> object:
        text = str(node.value)
        value = plain(text) if node.style is None else text
        if _UNPRINTABLE.search(text):
            value = Surprise("an unprintable character", "delete the escape")
        if isinstance(value, Surprise):
            self._spoil(trail, value)
            return None
        return value

    def _noted(self, node: yaml.Node, trail: Trail) -> bool:
        note = self._notes.get(id(node))
        if note is not None:
            self._spoil(trail, note)
        return note is not None

    def _spoil(self, trail: Trail, surprise: Surprise) -> None:
        self._document.spoiled.add(trail)
        self._document.faults.append(self._document.fault(trail, surprise.message, surprise.hint))

    def _add(self, trail: Trail, place: Place, message: str, hint: str = "") -> None:
        self._document.faults.append(Fault(self._document.file, *place, spell(trail), message, hint))


def _place(mark: yaml.Mark | None) -> Place:
    return (mark.line + 1, mark.column + 1) if mark is not None else _START


def _after(text: str) -> Place:
    """The place right behind `text`."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")
