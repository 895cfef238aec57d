"""The command line of a proof: its size, its seed, its exit status."""

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console

from node.logs import configure_logs
from tests.faults.count import Count, told

Prove = Callable[[int, int, Console], list[Count]]


def run_proof(words: str | None, prove: Prove, size: int, size_means: str) -> NoReturn:
    """Run a proof as the command line says; the exit status is 0 when it holds, 1 when it does not.

    Args:
        words: What the proof shows.
        prove: The proof: size, seed and console to counts.
        size: What `--size` is when it is not given.
        size_means: What `--size` counts.
    """
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--size", type=int, default=size, help=f"{size_means} (default {size})")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run; a random one if left out")
    wanted = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if wanted.seed is None else wanted.seed
    configure_logs("ERROR")
    console, begun = Console(), time.monotonic()
    counts = prove(wanted.size, seed, console)
    holds = told(f"size {wanted.size}, seed {seed}", counts, console)
    words = "[green]holds[/]" if holds else "[bold red]does not hold[/]"
    console.print(f"{words}, {time.monotonic() - begun:.0f} s")
    sys.exit(0 if holds else 1)
