"""What was freed is at hand for the next image."""

import ctypes
import subprocess
import sys

import pytest

# As large as what one read brings of an answer, and as many as a crowd has under way; freed all at once, some times.
_WORK = """
import resource
{before}
for _ in range({times}):
    crowd = [bytes(bytearray(262_144)) for _ in range(64)]
    del crowd
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(before: str, times: int) -> int:
    """Page faults of a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _WORK.format(before=before, times=times)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library is not asked to keep anything")
def test_the_next_crowd_of_images_takes_the_memory_of_the_last() -> None:
    kept = "from gateway.commands.memory import keep_freed_memory; keep_freed_memory()"
    further = faults(kept, 20) - faults(kept, 2)
    assert further < 64 * 262_144 // 4096  # of eighteen crowds; left to itself glibc needs all eighteen
