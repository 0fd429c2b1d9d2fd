"""Trying: targets, and the loop that feeds them until time or rounds are over."""

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutating import mutated

CORPUS = Path(__file__).parent / "corpus"

# What came of one input, in a few words. An AssertionError, or any other exception, is a finding.
Check = Callable[[bytes], str]

_POOL_MAX = 2_000
_KEPT_PER_OUTCOME = 8
_FINDINGS_MAX = 20
_SHORTENINGS_MAX = 400


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads what strangers send.

    Attributes:
        name: for the command line, and of its folder in the corpus.
        says: what must hold, for people.
        seeds: good input.
        words: pieces that mean something here.
        opened: makes the check ready, such as a server, and takes it down.
        slow_s: CPU seconds after which one input is a finding, where the caller looks at time at all.
        rounds: how many inputs the test suite tries.
    """

    name: str
    says: str
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    opened: Callable[[], AbstractContextManager[Check]]
    slow_s: float = 0.5
    rounds: int = 1_500


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke a promise, and how."""

    content: bytes
    how: str


@dataclass(slots=True)
class Ran:
    """What a run saw: how many inputs, what came of them, and what broke, each breakage once."""

    rounds: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)


def kept(name: str) -> dict[str, bytes]:
    """The cases of a target that were kept, by what they are called."""
    found: dict[str, bytes] = {}
    for path in sorted((CORPUS / name).glob("*.hex")):
        lines = [line for line in path.read_text("ascii").splitlines() if not line.startswith("#")]
        found[path.stem] = bytes.fromhex("".join(lines))
    return found


def run(
    target: Target, *, seed: int, rounds: int | None = None, seconds: float | None = None, timed: bool = False
) -> Ran:
    """Feed `target` until `rounds` or `seconds` are over, whichever is given and comes first.

    Input with an outcome that is still rare is changed further, so that refusals behind other refusals are reached.

    Args:
        target: what is fed.
        seed: the same seed and rounds give the same run.
        rounds: how many inputs.
        seconds: how long.
        timed: look at the CPU time of each input.
    """
    chance, ran, pool = random.Random(seed), Ran(), list(target.seeds)  # noqa: S311 - no secret
    ends_s = None if seconds is None else time.monotonic() + seconds
    with target.opened() as check:
        for content in (*target.seeds, *kept(target.name).values()):
            _try(target, check, content, ran, timed=timed)
        while (rounds is None or ran.rounds < rounds) and (ends_s is None or time.monotonic() < ends_s):
            content = mutated(chance, pool, target.words)
            outcome = _try(target, check, content, ran, timed=timed)
            if ran.outcomes[outcome] <= _KEPT_PER_OUTCOME and len(pool) < _POOL_MAX:
                pool.append(content)
            if len(ran.findings) >= _FINDINGS_MAX:
                break
        ran.findings = {how: _shortened(check, finding) for how, finding in ran.findings.items()}
    return ran


def _try(target: Target, check: Check, content: bytes, ran: Ran, *, timed: bool) -> str:
    began_s = time.thread_time()
    how, outcome = _how(check, content)
    if timed and not how and time.thread_time() - began_s > target.slow_s:
        how = outcome = "slow"
    ran.rounds += 1
    ran.outcomes[outcome] += 1
    if how and how not in ran.findings:
        ran.findings[how] = Finding(content, how)
    return outcome


def _how(check: Check, content: bytes) -> tuple[str, str]:
    """How `content` breaks a promise (empty when it does not), and what came of it."""
    try:
        return "", check(content)
    except Exception as fault:  # noqa: BLE001 - whatever is raised is what is looked for
        frames = traceback.extract_tb(fault.__traceback__)
        place = next((f for f in reversed(frames) if "/gateway/" in f.filename), frames[-1])
        text = str(fault).splitlines()[0][:200] if isinstance(fault, AssertionError) and str(fault) else ""
        return f"{type(fault).__name__} at {place.name}:{place.lineno} {text}".strip(), "finding"


def _shortened(check: Check, finding: Finding) -> Finding:
    """The same breakage by less input, as far as a few hundred attempts go."""
    content, step, left = finding.content, max(1, len(finding.content) // 2), _SHORTENINGS_MAX
    while step and left > 0 and finding.how != "slow":
        at, shorter = 0, False
        while at < len(content) and left > 0:
            tried, left = content[:at] + content[at + step :], left - 1
            if _how(check, tried)[0] == finding.how:
                content, shorter = tried, True
            else:
                at += step
        step = step if shorter and step > 1 else step // 2
    return Finding(content, finding.how)
