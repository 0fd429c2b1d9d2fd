"""Mutations: from good input to nearly good input. The same random numbers give the same bytes."""

import random
import re
from collections.abc import Callable, Sequence

BYTES_MAX = 65_536

_NUMBERS = (0, 1, 2, 7, 8, 16, 64, 127, 128, 255, 256, 1000, 32_767, 32_768, 65_535, 2**31 - 1, 2**31, 2**32 - 1)

_LINE_END = re.compile(rb"\r\n")

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def mutated(chance: random.Random, pool: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of `pool`, changed in one to six places; at most 64 KiB.

    Args:
        chance: where the choices come from.
        pool: input to begin with.
        words: pieces that mean something to what is tried.
    """
    made = bytearray(chance.choice(pool))
    if chance.random() < 0.1:
        other = chance.choice(pool)
        made = made[: _at(chance, made)] + other[_at(chance, other) :]
    for _ in range(1 + min(5, int(chance.expovariate(0.7)))):
        chance.choice(_MUTATIONS)(chance, made, words)
    return bytes(made[:BYTES_MAX])


def _at(chance: random.Random, made: bytes | bytearray) -> int:
    return chance.randrange(len(made) + 1)


def _slice(chance: random.Random, made: bytearray) -> slice:
    start = _at(chance, made)
    return slice(start, min(len(made), start + int(chance.expovariate(0.15)) + 1))


def _flip(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    if made:
        made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)


def _replace(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    if made:
        made[chance.randrange(len(made))] = chance.randrange(256)


def _insert_word(chance: random.Random, made: bytearray, words: Sequence[bytes]) -> None:
    if words:
        at = _at(chance, made)
        made[at:at] = chance.choice(words)


def _insert_word_between_lines(chance: random.Random, made: bytearray, words: Sequence[bytes]) -> None:
    ends = [found.start() for found in _LINE_END.finditer(made)]
    if words and ends:
        at = chance.choice(ends)
        made[at:at] = chance.choice(words)
    else:
        _insert_word(chance, made, words)


def _overwrite_with_word(chance: random.Random, made: bytearray, words: Sequence[bytes]) -> None:
    if words:
        made[_slice(chance, made)] = chance.choice(words)


def _insert_bytes(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    at = _at(chance, made)
    made[at:at] = chance.randbytes(chance.randrange(1, 5))


def _delete(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    del made[_slice(chance, made)]


def _double(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    piece, at = made[_slice(chance, made)], _at(chance, made)
    made[at:at] = piece * chance.choice((1, 1, 2, 50))


def _move(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    where = _slice(chance, made)
    piece = made[where]
    del made[where]
    at = _at(chance, made)
    made[at:at] = piece


def _cut(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    if chance.random() < 0.3:
        del made[_at(chance, made) :]


def _number(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    width, order = chance.choice((1, 2, 4)), "big" if chance.random() < 0.5 else "little"
    at = _at(chance, made)
    value = chance.choice(_NUMBERS) % 256**width
    made[at : at + width] = value.to_bytes(width, "big" if order == "big" else "little")


def _case(chance: random.Random, made: bytearray, _: Sequence[bytes]) -> None:
    where = _slice(chance, made)
    made[where] = made[where].swapcase()


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _replace, _insert_word, _insert_word, _insert_word_between_lines, _overwrite_with_word, _insert_bytes),
    *(_delete, _double, _move, _cut, _number, _case),
)
