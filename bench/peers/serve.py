"""What the official packages have in common as peers of koine's embeddings.

One JSON object a line on stdin and on stdout: {"model": ..., "structures": "a.extxyz", "threads": 1, "batch_sizes": [1, 16]} is
answered by {"structures": 60, "calculator": seconds, "batched": {"1": seconds, "16": seconds}, "version": "0.4.2"}. Each peer runs
in the environment of its family (models/export/environments).
"""

import contextlib
import json
import sys
from importlib.metadata import version
from time import perf_counter

from ase.io import read


def serve(package, prepare, warm_up):
    """Answers until stdin ends.
    prepare(ask): -> (calculator, forward): an ASE calculator, called one by one as a user would; `forward(crystals)` computes them at once,
    without gradients where the package allows
    warm_up(crystals): those of a first, untimed pass
    """
    for line in sys.stdin:
        ask = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):  # packages greet on stdout
            calculator, forward = prepare(ask)
            crystals = read(ask["structures"], index=":")
            warm = warm_up(crystals)
            answer = {
                "structures": len(crystals),
                "calculator": _seconds(calculator.calculate, warm, crystals),
                "batched": {
                    size: _seconds(forward, _chunks(warm, size), _chunks(crystals, size)) for size in ask["batch_sizes"]
                },
                "version": version(package),
            }
        print(json.dumps(answer), flush=True)


def _chunks(crystals, size):
    return [crystals[start : start + size] for start in range(0, len(crystals), size)]


def _seconds(work, warm, items):
    for item in warm:
        work(item)
    start = perf_counter()
    for item in items:
        work(item)
    return perf_counter() - start
