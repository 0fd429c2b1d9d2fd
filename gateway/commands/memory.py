"""Memory: when this process looks for what it no longer needs, and when it gives it back to the system."""

import contextlib
import ctypes
import gc

# Objects made, and not freed, between two collections of the youngest; how many of these make one of the next. A
# request leaves no cycle behind; those that an error leaves may hold a body, so not many more.
_COLLECTED_AFTER = (20_000, 10, 20)

# glibc's numbers of these settings, and their values. Set once, they no longer move by themselves.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 24 * 1024 * 1024
_OF_ITS_OWN_BYTES = 1024 * 1024


def look_for_cycles_rarely() -> None:
    """Tell the collector that what is there now stays, and that requests leave few cycles behind.

    With Python's own thresholds it walks over everything that is alive some thousand times a minute under load. The
    few cycles that imports leave behind stay too: looking for them would delay the start.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


def keep_freed_memory() -> None:
    """Let the C library keep some freed memory at hand, where it can be told to.

    Left to itself it gives the pieces of each image back to the system and asks for them again with the next one:
    up to sixty page faults a request. What is larger than a piece still goes back as soon as it is freed.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library: it has its own ways
        setting = ctypes.CDLL(None).mallopt
        setting(_TRIM_THRESHOLD, _KEPT_BYTES)
        setting(_MMAP_THRESHOLD, _OF_ITS_OWN_BYTES)
