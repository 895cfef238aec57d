"""Kills a node at every crash point and at random moments, on SQLite and PostgreSQL: `make crash`.

A modality sends every image until it is acknowledged. In the end the archive must hold exactly the results
that were computed here, apart from the node, from the same images, and nothing else, each proven by storage
commitment and by query; each image that has no results must be refused or quarantined, with a reason.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.faults.command import run_proof
from tests.faults.count import Count
from tests.faults.crash_points import POINTS, CrashPoint
from tests.faults.parts import NodeProcess, until_it_listens, write_mixed_images
from tests.faults.proving_archive import ProvingArchive
from tests.faults.rig import KINDS, Kind, Rig, database

IMAGES_PER_LIFE = 6
PROVEN = "commitment = true\nquery = true\nproof_timeout_s = 5.0\n"
"""More of the destination's settings: it is asked for both proofs, and again after so long."""

REACHED_WITHIN_S = 120.0
LONGEST_LIFE_S = 3.0
STARTING_SHARE = 0.2  # of the random kills come at any moment after the start, the others once it listens
DIFFERENT_OCCURRENCES = 2


def prove(size: int, seed: int, console: Console, kinds: Sequence[Kind] = KINDS) -> list[Count]:
    """Kill at every point once and at `size` random moments, on each kind of database."""
    return [
        Count(f"{kind}: {count.what}", count.found, count.wanted, count.holds)
        for kind in kinds
        for count in prove_on(kind, POINTS, size, random.Random(seed), console)
    ]


def prove_on(
    kind: Kind, points: Sequence[CrashPoint], kills: int, draw: random.Random, console: Console
) -> list[Count]:
    """Kill at these points, then at random moments; return what became of everything."""
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as url:
        folder = Path(name)
        images = write_mixed_images(folder / "images", IMAGES_PER_LIFE * len(points) + kills)
        with ProvingArchive(folder / "archive") as archive:
            rig = Rig(folder, images, archive, url, PROVEN)
            rig.expected  # noqa: B018 - worked out now, and not while the node is waited for
            begun = time.monotonic()
            node = rig.start()
            missed = _kill_at_points(rig, node, points, draw, console)
            console.print(f"{kind}: {len(points)} points in {time.monotonic() - begun:.0f} s")
            _kill_at_random(rig, node, kills, draw)
            console.print(f"{kind}: {kills} random kills, {time.monotonic() - begun:.0f} s")
            rig.wait_for_the_end()
            status = node.stop()
            return [
                Count.equal("crash points at which it died", len(points) - len(missed), len(points)),
                Count.equal("random kills", node.starts - 2 - len(points), kills),
                *rig.counts(),
                Count.equal("exit status when it was asked to stop", status, 0),
            ]


def _kill_at_points(
    rig: Rig, node: NodeProcess, points: Sequence[CrashPoint], draw: random.Random, console: Console
) -> list[CrashPoint]:
    """Let one life after the other end at a point; return the points that were not reached."""
    missed = []
    node.kill()
    for point in points:
        rig.modality.released += IMAGES_PER_LIFE
        occurrence = 1 if _is_rare(point) else draw.randint(1, DIFFERENT_OCCURRENCES)
        node.start(("-m", "tests.faults.crashing_node", point.name, str(occurrence)))
        if not node.has_died(REACHED_WITHIN_S):
            console.print(f"[bold red]not reached[/]: {point.name}, occurrence {occurrence}")
            missed.append(point)
            node.kill()
    node.start()
    return missed


def _is_rare(point: CrashPoint) -> bool:
    """Whether only one image of each life comes there: that which is refused, or quarantined."""
    return point.target.endswith((".refuse", ".quarantine"))


def _kill_at_random(rig: Rig, node: NodeProcess, kills: int, draw: random.Random) -> None:
    for _kill in range(kills):
        rig.modality.released += 1
        life_s, while_starting = draw.uniform(0.0, LONGEST_LIFE_S), draw.random() < STARTING_SHARE
        if not while_starting:
            until_it_listens(rig.modality.port)
        time.sleep(life_s)  # the random moment itself
        node.kill()
        node.start()


if __name__ == "__main__":
    run_proof(__doc__, prove, size=200, size_means="random kills on each kind of database")
