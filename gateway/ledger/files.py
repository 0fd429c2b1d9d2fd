"""Files: the few steps by which what a process writes down outlives it, and is told from what the living write."""

import fcntl
import os
from pathlib import Path


def locked(descriptor: int) -> bool:
    """Whether the lock could be had, and of a file that still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def write_whole(descriptor: int, content: bytes) -> None:
    """Write all of `content` and wait until it is safe. Raises OSError; then a part may have been written."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are safe."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
