"""Prints how many requests an execution makes on the AWS profile.

usage: bench.py --emulator VENV
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from execution_requests import FEW, MANY, Measured, measure

from rlm_rs.testing.aws_emulator import AwsEmulator


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Count the AWS requests of an execution.")
    parser.add_argument("--emulator", type=Path, required=True, help="environment that has MiniStack")
    with AwsEmulator(parser.parse_args().emulator) as emulator:
        measured, _ = asyncio.run(measure(emulator.endpoint))
    for found in measured:
        say(found)


def say(found: Measured) -> None:
    """One table."""
    print(f"\nexecutions with {found.subcalls} sub-calls in a turn")
    print(f"{'operation':<26}{FEW:>4} turns{MANY:>5} turns  one more turn")
    for name, more in found.per_turn().items():
        print(f"{name:<26}{found.few[name]:>10}{found.many[name]:>11}{more:>15.2f}")
    print(f"writes of one more turn: {found.writes_per_turn():.2f}")
    print(f"writes beside the turns: {found.writes_beside():.1f}")


if __name__ == "__main__":
    main()
