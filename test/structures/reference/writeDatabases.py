"""Writes databases as ASE and the data sets in LMDB have them: argument, folder."""

import json
import sys
import zlib
from pathlib import Path

import lmdb
from ase import Atoms
from ase.db import connect

folder = Path(sys.argv[1])


def crystal(i):
    """Many small rows, some long enough for pages of their own."""
    atoms = Atoms("NaCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[5, 6, 7 + i / 1000], pbc=True)
    return atoms.repeat((4, 4, 4)) if i % 50 == 0 else atoms


with connect(folder / "rows.db") as database:
    for i in range(400):
        pairs = {"mp_id": f"mp-{i}"} if i % 2 else {}
        database.write(crystal(i), key_value_pairs=pairs, data={"numbers": list(range(2000 if i % 7 == 0 else 1))})
    database.write(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]))

with lmdb.open(str(folder / "rows.aselmdb"), subdir=False, map_size=1 << 28) as environment:
    with environment.begin(write=True) as transaction:
        for i in range(1, 801):
            atoms = crystal(i)
            row = {
                "numbers": atoms.numbers.tolist(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.tolist(),
                "pbc": atoms.pbc.tolist(),
                "unique_id": f"u{i}",
                "key_value_pairs": {"material_id": f"m{i}"} if i % 2 else {},
                "data": {"forces": [0.123456789 * k for k in range(3000 if i % 5 == 0 else 3)]},
            }
            transaction.put(str(i).encode(), zlib.compress(json.dumps(row).encode()))
        transaction.put(b"nextid", zlib.compress(b"801"))
        transaction.put(b"broken", b"no zlib")
    with environment.begin(write=True) as transaction:
        transaction.delete(b"17")
