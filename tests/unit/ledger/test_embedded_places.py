"""Where the embedded store may live, and where its program is found."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.ledger import embedded
from gateway.ledger.embedded import EmbeddedStore, EmbeddedStoreError
from tests.unit.ledger.living import ask, clear, processes


@pytest.fixture
def short_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of our own, with a short path."""
    directory = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("name", ["d" * 120, "ü %20?db=1#x;\n'\"", os.fsdecode(b"\xff\xfe")])
async def test_any_path_will_do(tmp_path: Path, short_tmp: Path, name: str) -> None:
    data_dir = tmp_path / name
    async with EmbeddedStore(data_dir) as store, EmbeddedStore(data_dir) as adopter:
        assert (store.owned, adopter.owned) == (True, False)
        await ask(store.url, "SET", "spent", "181")
        assert (data_dir / "store.sock").is_socket()
        assert len(processes(data_dir)) == 1
    await clear(data_dir)


async def test_a_link_that_leads_elsewhere_is_set_right(tmp_path: Path, short_tmp: Path) -> None:
    data_dir = tmp_path / ("d" * 120)
    store = EmbeddedStore(data_dir)
    async with store:
        (link,) = (short_tmp / f"dezgo-gateway-{os.geteuid()}").iterdir()
    link.unlink()
    link.symlink_to("/nowhere")
    async with store:
        assert link.readlink() == data_dir
    await clear(data_dir)


def open_place(place: Path) -> None:
    place.mkdir()
    place.chmod(0o770)


def link_place(place: Path) -> None:
    (place.parent / "theirs").mkdir(mode=0o700)
    place.symlink_to(place.parent / "theirs")


def share_parent(place: Path) -> None:
    place.parent.chmod(0o777)


@pytest.mark.parametrize("spoil", [open_place, link_place, share_parent])
async def test_a_link_others_could_change_is_refused(
    tmp_path: Path, short_tmp: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(short_tmp / f"dezgo-gateway-{os.geteuid()}")
    data_dir = tmp_path / ("d" * 120)
    with pytest.raises(EmbeddedStoreError, match="ours alone"):
        await EmbeddedStore(data_dir).start()
    await clear(data_dir)


async def test_no_short_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 100)))
    with pytest.raises(EmbeddedStoreError, match="No short path"):
        await EmbeddedStore(tmp_path / ("d" * 120)).start()


@pytest.mark.parametrize("below", ["", "further"])
async def test_a_file_in_the_directorys_place_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedStoreError, match=r"cannot be set up: (File exists|Not a directory)\."):
        await EmbeddedStore(tmp_path / "file" / below).start()


async def test_the_bundled_program_comes_first_then_valkey_then_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bundled = embedded._bundled()
    with monkeypatch.context() as unbundled:
        unbundled.setattr(embedded, "_bundled", lambda: None)
        with pytest.raises(EmbeddedStoreError, match="No store program"):
            await EmbeddedStore(tmp_path / "store").start()
        for name in ("redis-server", "valkey-server"):
            (tmp_path / name).touch(mode=0o700)
            assert embedded._program() == tmp_path / name
    assert embedded._program() == bundled
