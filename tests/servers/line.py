"""A line to a server for the test's own commands, as a user whom no fault of the tests locks out."""

import socket
from collections.abc import Sequence
from typing import Any, Self

import hiredis

USER, PASSWORD = "harness", "of-the-tests"


class SaidNoError(Exception):
    """The server answered with an error, which is this exception's text."""


class Line:
    """One connection. Raises OSError when the server is away, SaidNoError when it refuses.

    Args:
        port: on loopback.
        within_s: for each answer.
        known: whether to log in as the tests' own user; Sentinels do not know it.
    """

    def __init__(self, port: int, *, within_s: float = 5.0, known: bool = True) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=within_s)
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        try:
            if known:
                self.ask("AUTH", USER, PASSWORD)
        except BaseException:
            self.close()
            raise

    def ask(self, *words: str | int) -> Any:
        """One command and its answer."""
        (answer,) = self.ask_all([words])
        return answer

    def ask_all(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """Many commands in one write, and their answers."""
        self.say(commands)
        return [self._answer() for _ in commands]

    def say(self, commands: Sequence[tuple[str | int, ...]]) -> None:
        """Send, and leave the answers unread."""
        # Its stub knows tuples of one word only.
        self._socket.sendall(b"".join(hiredis.pack_command(words) for words in commands))  # type: ignore[arg-type]

    def _answer(self) -> Any:
        while (answer := self._reader.gets()) is False:
            read = self._socket.recv(65536)
            if not read:
                raise ConnectionResetError("the server hung up")
            self._reader.feed(read)
        if isinstance(answer, hiredis.ReplyError):
            raise SaidNoError(str(answer))
        return answer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
