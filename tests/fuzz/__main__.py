"""`python -m tests.fuzz --seconds 60`: feed what reads strangers' input, and say what broke."""

import argparse
import secrets
import sys

from tests.fuzz.targets import TARGETS
from tests.fuzz.trying import CORPUS, Ran, Target, run


def main() -> int:
    """Feed every target, or one, for its share of the time; 0 when nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one; may be given again")
    parser.add_argument("--seed", type=int, default=None, help="a fresh one unless given")
    parser.add_argument("--save", action="store_true", help="keep what broke in tests/fuzz/corpus")
    said = parser.parse_args()
    seed = secrets.randbelow(2**31) if said.seed is None else said.seed
    chosen = [TARGETS[name] for name in said.target or sorted(TARGETS)]
    sys.stdout.write(f"seed {seed}\n")
    broken = 0
    for target in chosen:
        ran = run(target, seed=seed, seconds=said.seconds / len(chosen), timed=True)
        broken += len(ran.findings)
        _tell(target, ran, save=said.save)
    return 1 if broken else 0


def _tell(target: Target, ran: Ran, *, save: bool) -> None:
    accepted = sum(count for outcome, count in ran.outcomes.items() if outcome.startswith("accepted"))
    sys.stdout.write(
        f"{target.name:<12}{ran.rounds:>9} inputs{accepted:>8} accepted{len(ran.outcomes):>5} outcomes"
        f"{len(ran.findings):>4} findings   ({target.says})\n"
    )
    for number, finding in enumerate(ran.findings.values()):
        sys.stdout.write(f"  {finding.how}\n    {finding.content.hex()}\n")
        if save:
            folder = CORPUS / target.name
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{target.name}-{secrets.token_hex(3)}-{number}.hex"
            (folder / name).write_text(f"# {finding.how}\n{finding.content.hex()}\n")


if __name__ == "__main__":
    sys.exit(main())
