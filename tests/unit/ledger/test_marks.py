"""Marks outlive their process, whatever the disk does; no request ever waits for them."""

import asyncio
import errno
import os
import signal
import stat
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.marks import Marks, kept_marks, read, written

IDS = st.builds("{}-{}".format, st.integers(0, 10**14), st.integers(0, 99))


def seen(marks: Marks, **tenants: str) -> Marks:
    for tenant, entry_id in tenants.items():
        marks.saw(tenant, entry_id)
    return marks


async def lived(directory: Path, **tenants: str) -> None:
    """A process that saw these entries, and ended in order."""
    async with kept_marks(directory) as marks:
        seen(marks, **tenants)


async def found(directory: Path, *tenants: str) -> list[str]:
    """The marks the next process begins with."""
    async with kept_marks(directory) as marks:
        return [marks.newest(tenant) for tenant in tenants]


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


@given(st.dictionaries(st.text(max_size=10), IDS, max_size=5))
def test_marks_are_read_as_they_were_written(marks: dict[str, str]) -> None:
    assert read(written(marks)) == marks


@given(st.dictionaries(st.text(max_size=10), IDS, max_size=5), st.data())
def test_a_damaged_file_is_never_taken_for_marks(marks: dict[str, str], data: st.DataObject) -> None:
    content = bytearray(written(marks).removesuffix(b"\n"))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"."):
        read(bytes(content))


@pytest.mark.parametrize("text", ["[]", "7", '{"t":7}', '{"t":"x"}', '{"t":"-1-0"}', '{"t":"1"}', "[" * 100_000])
def test_a_whole_file_that_says_no_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(b"%08x %s\n" % (zlib.crc32(text.encode()), text.encode()))


def test_a_mark_goes_forward_only_and_knows_where_it_began() -> None:
    marks = seen(Marks(), t="5-1")
    for entry_id, newest in (("5-0", "5-1"), ("5-2", "5-2"), ("10-0", "10-0"), ("9-9", "10-0")):
        marks.saw("t", entry_id)
        assert (marks.newest("t"), marks.began("t")) == (newest, "5-1")
    assert (marks.newest("u"), marks.began("u")) == ("", "0-0")


def test_a_mark_is_replaced_only_where_it_still_stands() -> None:
    marks = seen(Marks(), t="5-0")
    marks.move("t", "4-0", "1-0", anew=True)
    assert (marks.newest("t"), marks.began("t")) == ("5-0", "5-0")
    marks.move("t", "5-0", "3-0", anew=False)
    assert (marks.newest("t"), marks.began("t")) == ("3-0", "5-0")
    marks.move("t", "3-0", "2-0", anew=True)
    assert (marks.newest("t"), marks.began("t")) == ("2-0", "2-0")


def test_of_more_tenants_than_there_is_room_for_the_longest_known_is_let_go() -> None:
    marks = Marks(tenants_max=2)
    for number in range(5):
        marks.saw(f"t{number}", "1-0")
    assert [marks.newest(f"t{number}") for number in range(5)] == ["", "", "", "1-0", "1-0"]


async def test_the_next_process_begins_with_the_newest_mark_of_all_files_and_leaves_one_file(tmp_path: Path) -> None:
    await lived(tmp_path, a="5-0", b="9-0")
    (tmp_path / "1-older.marks").write_bytes(written({"a": "7-0", "b": "8-0", "c": "1-0"}))
    async with kept_marks(tmp_path) as marks:
        assert [marks.newest(tenant) for tenant in "abc"] == ["7-0", "9-0", "1-0"]
        assert marks.began("a") == "7-0"
        (left,) = files(tmp_path)
        assert read(left.read_bytes()) == {"a": "7-0", "b": "9-0", "c": "1-0"}
    assert await found(tmp_path, "a", "b", "c") == ["7-0", "9-0", "1-0"]


async def test_the_file_of_a_living_process_is_read_and_left_alone(tmp_path: Path) -> None:
    async with kept_marks(tmp_path) as first:
        await seen(first, a="5-0").keep()
        async with kept_marks(tmp_path) as second:
            assert second.newest("a") == "5-0"
            assert len(files(tmp_path)) == 2
            await seen(first, a="6-0").keep()
            assert len(files(tmp_path)) == 2
    assert await found(tmp_path, "a") == ["6-0"]


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage", written({"a": "5-0"})[:-9], b"\0" * 5_000_000])
async def test_a_torn_file_costs_its_own_marks_alone_and_is_cleared_away(tmp_path: Path, content: bytes) -> None:
    await lived(tmp_path, b="9-0")
    (tmp_path / "1-torn.marks").write_bytes(content)
    (tmp_path / "2-torn.marks.part").write_bytes(written({"b": "10-0"}))
    assert await found(tmp_path, "a", "b") == ["", "9-0"]
    assert len(files(tmp_path)) == 1


async def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "folder.marks").mkdir()
    (tmp_path / "link.marks").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.marks")
    await lived(tmp_path, a="1-0")
    assert await found(tmp_path, "a") == ["1-0"]


async def test_marks_are_nobody_elses_to_read(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    await lived(directory, a="1-0")
    for path in (directory, *files(directory)):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


async def test_a_directory_of_no_use_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"."):
        async with kept_marks(tmp_path / "file"):
            raise AssertionError("it must not start")


@pytest.mark.parametrize("step", ["open", "write", "fsync"])
async def test_a_disk_that_takes_nothing_is_counted_and_tried_again_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await lived(tmp_path, a="1-0")
    async with kept_marks(tmp_path) as marks:

        def fails(*_: object) -> int:
            raise OSError(errno.EROFS, "read-only")

        with monkeypatch.context() as broken:
            broken.setattr(os, step, fails)
            for faults in (1, 2):
                await seen(marks, a=f"{faults + 1}-0").keep()
                assert (marks.faults, marks.newest("a")) == (faults, f"{faults + 1}-0")
        (left,) = files(tmp_path)
        assert read(left.read_bytes()) == {"a": "1-0"}
        await marks.keep()
        assert read(left.read_bytes()) == {"a": "3-0"}


async def test_what_has_not_changed_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with kept_marks(tmp_path) as marks:
        await seen(marks, a="5-0").keep()
        monkeypatch.setattr(os, "fsync", None)
        await seen(marks, a="4-0").keep()
        assert marks.faults == 0


async def test_marks_are_written_beside_the_requests_without_being_asked(tmp_path: Path) -> None:
    async with kept_marks(tmp_path, every_s=0) as marks:
        seen(marks, a="5-0")
        (path,) = files(tmp_path)
        async with asyncio.timeout(20):
            while read(path.read_bytes()) != {"a": "5-0"}:  # noqa: ASYNC110 - the disk tells nobody
                await asyncio.sleep(0.001)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.ledger.marks import Marks

async def main():
    marks = Marks(Path(sys.argv[1]))
    await marks.start()
    number = 0
    while True:
        number += 1
        marks.saw("a", f"{number}-0")
        await marks.keep()
        print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_kept_when_the_process_was_killed_is_there_and_no_other_file(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    kept = 0
    for _ in range(20):
        kept = int(await process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = (await process.stdout.read()).split()
    await process.wait()
    (mark,) = await found(tmp_path, "a")
    assert int(mark.partition("-")[0]) >= int(rest[-1] if rest else kept)
    assert len(files(tmp_path)) == 1
