"""
What the official packages have in common as peers of koine's embeddings.

One JSON object a line on stdin and on stdout: {"model": ..., "structures": "a.extxyz", "threads": 1, "batch_sizes": [1, 16]} is
answered by {"structures": 60, "calculator": seconds, "batched": {"1": seconds, "16": seconds}, "version": "0.4.2"}. Each peer runs
in the environment of its family (models/export/environments).
"""

import contextlib
import json
import sys
from importlib.metadata import version
from time import perf_counter


def serve(package, prepare, warm_up):
    """
    Answers until stdin ends.
    prepare(ask): -> (crystals, loop, batched): `loop(crystals)` calls the calculator one by one, as a user would; `batched(crystals, n)`
    is the forward of n structures at once, without gradients where the package allows
    warm_up(crystals): those of a first, untimed pass
    """
    for line in sys.stdin:
        ask = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):  # packages greet on stdout
            crystals, loop, batched = prepare(ask)
            answer = {
                "structures": len(crystals),
                "calculator": _seconds(lambda some: loop(some), crystals, warm_up),
                "batched": {size: _seconds(lambda some: batched(some, size), crystals, warm_up) for size in ask["batch_sizes"]},
                "version": version(package),
            }
        print(json.dumps(answer), flush=True)


def _seconds(work, crystals, warm_up):
    work(warm_up(crystals))
    start = perf_counter()
    work(crystals)
    return perf_counter() - start
