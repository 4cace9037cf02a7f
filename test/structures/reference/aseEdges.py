"""Prints, for more than 1,000 real structures, a digest of ASE's edges (i, j, S) sorted, as little-endian int32 rows."""

import hashlib
import json
import sys

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from real import real_structures

shared, cutoff = sys.argv[1], float(sys.argv[2])
for name, cell, fractional, _ in real_structures(shared, 6):
    i, j, shift = primitive_neighbor_list("ijS", (True, True, True), cell, fractional @ cell, cutoff)
    rows = np.column_stack([i, j, shift]).astype("<i4")
    rows = np.ascontiguousarray(rows[np.lexsort(rows.T[::-1])])
    print(
        json.dumps(
            {
                "id": name,
                "lattice": cell.ravel().tolist(),
                "fractional": fractional.ravel().tolist(),
                "count": len(rows),
                "digest": hashlib.sha256(rows.tobytes()).hexdigest(),
            }
        )
    )
