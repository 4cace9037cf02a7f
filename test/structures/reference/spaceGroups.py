"""Prints structures of known space group with what spglib finds: its own test structures and the ACWF verification set.

`named` is the space group the structure was made with: from the file's name (spglib) or its prototype (ACWF unaries).
"""

import json
import sys
import warnings
import zipfile

import numpy as np
import spglib
from ase.data import atomic_numbers
from real import wrapped

warnings.filterwarnings("ignore")
shared = sys.argv[1]


def report(name, named, cell, fractional, numbers):
    dataset = spglib.get_symmetry_dataset((cell, fractional, numbers), symprec=0.01)
    print(
        json.dumps(
            {
                "id": name,
                "named": named,
                "lattice": np.ravel(cell).tolist(),
                "fractional": np.ravel(fractional).tolist(),
                "numbers": [int(z) for z in numbers],
                "number": int(dataset.number) if dataset else 0,
                "orbits": dataset.equivalent_atoms.tolist() if dataset else [],
            }
        )
    )


with zipfile.ZipFile(f"{shared}/data/spglib/spglib_test_structures_and_refs.zip") as archive:
    virtual = 0
    for name in archive.namelist():
        virtual += "virtual_structure" in name and name.startswith("data/")
        if "virtual_structure" in name and virtual % 5:
            continue
        # The layer group's file is no space group; the distorted ones are named for a tolerance of 0.1 Å and more.
        if not name.startswith("data/") or name.startswith("data/layer") or name.endswith("/"):
            continue
        lines = archive.read(name).decode().splitlines()
        cell = float(lines[1]) * np.array([line.split()[:3] for line in lines[2:5]], float)
        counts_at = 5 if lines[5].split()[0].isdigit() else 6
        counts = [int(count) for count in lines[counts_at].split()]
        first = counts_at + 2
        fractional = np.array([line.split()[:3] for line in lines[first : first + sum(counts)]], float)
        numbers = np.repeat(np.arange(1, len(counts) + 1), counts)
        named = None if "distorted" in name else int(name.split("POSCAR-")[1].split("-")[0])
        report(name, named, cell, wrapped(fractional), numbers)

unaries = {"BCC": 229, "FCC": 225, "SC": 221, "Diamond": 227}
with zipfile.ZipFile(f"{shared}/data/acwf/acwf_PBE_v1_xsf.zip") as archive:
    for name in archive.namelist():
        if not name.endswith(".xsf"):
            continue
        words = archive.read(name).decode().split()
        at = words.index("PRIMVEC") + 1
        cell = np.array(words[at : at + 9], float).reshape(3, 3)
        at = words.index("PRIMCOORD") + 1
        rows = np.array(words[at + 2 : at + 2 + 4 * int(words[at])]).reshape(-1, 4)
        fractional = wrapped(np.linalg.solve(cell.T, rows[:, 1:].astype(float).T).T)
        numbers = [int(z) if z.isdigit() else atomic_numbers[z] for z in rows[:, 0]]
        named = unaries.get(name.rsplit("-", 1)[1].removesuffix(".xsf"))
        report(name, named, cell, fractional, numbers)
