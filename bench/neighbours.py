"""matscipy's side of bench/neighbours.ts: reads structures once, then one timed pass over all of them for each cutoff on stdin."""

import json
import sys
from time import perf_counter

import numpy as np
from matscipy.neighbours import neighbour_list

structures = []
for lattice, fractional in json.loads(sys.stdin.readline()):
    cell = np.array(lattice).reshape(3, 3)
    structures.append((np.array(fractional).reshape(-1, 3) @ cell, cell))
periodic = np.array([True, True, True])

for line in sys.stdin:
    cutoff = float(line)
    edges = 0
    start = perf_counter()
    for positions, cell in structures:
        i, j, shift, vector, distance = neighbour_list(
            "ijSDd", positions=positions, cell=cell, pbc=periodic, cutoff=cutoff
        )
        edges += len(i)
    print(json.dumps({"seconds": perf_counter() - start, "edges": edges}), flush=True)
