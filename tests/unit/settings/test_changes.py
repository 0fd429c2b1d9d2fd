"""A secret's file is followed: a new secret is told once, a half-written or unfit one never replaces a good one."""

import asyncio
import os
from pathlib import Path

import pytest

from gateway.settings import SecretError
from gateway.settings.changes import SecretFile

OLD, NEW = "the-old-secret-0001", "the-new-secret-0002"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "key"
    put(made, OLD)
    return made


def put(path: Path, text: str, mode: int = 0o600) -> None:
    """Put another file in the place of `path`, as orchestrators do."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def test_nothing_is_told_while_nothing_changes(path: Path) -> None:
    file = SecretFile(path, known=OLD)
    assert [file.look() for _ in range(4)] == [None] * 4
    os.utime(path)
    assert [file.look() for _ in range(4)] == [None] * 4


def test_a_new_secret_is_told_once_and_only_when_two_looks_agree(path: Path) -> None:
    file = SecretFile(path, known=OLD)
    put(path, NEW + "\n")
    assert [file.look() for _ in range(4)] == [None, NEW, None, None]


def test_a_file_that_is_still_being_written_is_not_read(path: Path) -> None:
    file = SecretFile(path, known=OLD)
    for count in (5, 9, 14):
        put(path, NEW[:count])
        assert file.look() is None
    put(path, NEW)
    assert [file.look(), file.look()] == [None, NEW]


@pytest.mark.parametrize(("text", "mode"), [("", 0o600), (NEW, 0o604), ("two\nlines\n", 0o600)])
def test_an_unfit_file_is_told_once_and_the_next_good_one_is_taken(path: Path, text: str, mode: int) -> None:
    file = SecretFile(path, known=OLD)
    put(path, text, mode)
    assert file.look() is None
    with pytest.raises(SecretError):
        file.look()
    assert file.look() is None
    put(path, NEW)
    assert [file.look(), file.look()] == [None, NEW]


def test_a_file_that_vanishes_is_told_once(path: Path) -> None:
    file = SecretFile(path, known=OLD)
    path.unlink()
    assert file.look() is None
    with pytest.raises(SecretError):
        file.look()
    assert file.look() is None


def test_what_follows_a_file_does_not_hold_its_secret(path: Path) -> None:
    file = SecretFile(path, known=OLD)
    put(path, NEW)
    assert [file.look(), file.look()] == [None, NEW]
    assert OLD not in repr(vars(file))
    assert NEW not in repr(vars(file))


async def test_the_watch_tells_changes_and_failures_until_it_is_cancelled(path: Path) -> None:
    told: list[str] = []
    failed: list[SecretError] = []
    watch = asyncio.create_task(
        SecretFile(path, known=OLD).watch(changed=told.append, failed=failed.append, every_s=0.001)
    )
    async with asyncio.timeout(10):
        put(path, "")
        while not failed:  # noqa: ASYNC110 - what is waited for is a file's change
            await asyncio.sleep(0.001)
        put(path, NEW)
        while not told:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.001)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert (told, len(failed)) == ([NEW], 1)
