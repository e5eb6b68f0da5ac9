"""Runs the kernel attacks in one configuration and prints what became of each, as JSON.

A program of its own, so that a test can run it as another user: `python -m attacks.drive SCENE`, where
SCENE is the JSON of `Scene`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rlm_rs.core.corpus import Corpus
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.probe import CONTROL, Check, prove
from rlm_rs.runners.process import ProbeEnded, ProcessConfig, ProcessRunner
from rlm_rs.sandbox.layers import Layers
from rlm_rs.sandbox.protocol import StepLimits, StepRequest
from rlm_rs.storage.blobs import MemoryBlobs

from .attack import Attack
from .kernel import KERNEL_ATTACKS, source

LIMITS = StepLimits(seconds=0.2, memory_mb=64)
ORDINARY = "import json, collections\nprint(json.dumps(collections.Counter('abca')))"


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to reach, and the layers that are missing."""

    folder: str
    port: int
    victim: int
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attack ended: an error code, "refused", or what the attack claims."""

    name: str
    ended: str
    expected: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether it came to an end that is allowed."""
        return self.ended in self.expected


@dataclass(frozen=True, slots=True)
class Report:
    """One configuration: its layers, whether ordinary code ran before and after, every attack's outcome."""

    layers: Layers
    controls: tuple[bool, ...]
    checks: tuple[Check, ...]
    outcomes: tuple[Outcome, ...]


async def assault(scene: Scene) -> Report:
    """Run everything, four attacks at a time."""
    config = ProcessConfig(
        running=4, spares=3, wall_factor=1.0, wall_grace_seconds=0.8, leave_out=frozenset(scene.leave_out)
    )
    with tempfile.TemporaryDirectory() as folder:
        runner = ProcessRunner(CorpusImages(MemoryBlobs(), Path(folder)), config)
        try:
            layers = await runner.start()
            before = await controls(runner)
            outcomes = await asyncio.gather(*(attempt(runner, attack, scene) for attack in KERNEL_ATTACKS))
            checks = await prove(runner)
            return Report(layers, (*before, *await controls(runner)), tuple(checks), tuple(outcomes))
        finally:
            await runner.close()


async def controls(runner: ProcessRunner) -> tuple[bool, ...]:
    """Ordinary code runs, with and without the language layer."""
    probe = await runner.probe(CONTROL.source, LIMITS)
    step = await runner.run(StepRequest("control", 1, ORDINARY), Corpus("t", "s", ()))
    return probe == CONTROL.expected, step.stdout.strip() == '{"a": 2, "b": 1, "c": 1}'


async def attempt(runner: ProcessRunner, attack: Attack, scene: Scene) -> Outcome:
    """Run one attack and read its end."""
    try:
        ended = await runner.probe(source(attack, scene.folder, scene.port, scene.victim), LIMITS)
    except ProbeEnded as error:
        ended = error.code if error.code in attack.ends else f"{error.code}: {error}"
    return Outcome(attack.name, ended, attack.ends)


def main() -> None:
    """Print the report of the scene given as the first argument."""
    scene = Scene(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(asyncio.run(assault(scene)))))


if __name__ == "__main__":
    main()
