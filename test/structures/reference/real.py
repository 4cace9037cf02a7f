"""Real structures as (id, lattice [3, 3], fractional coordinates [n, 3] in [0, 1), atomic numbers [n])."""

import gzip
import json
import os
import re
import zipfile

import numpy as np
from ase.data import atomic_numbers


def wrapped(fractional):
    fractional = np.asarray(fractional, float).reshape(-1, 3)
    fractional = fractional - np.floor(fractional)
    fractional[fractional == 1] = 0
    return fractional


def extended_xyz(path, stride):
    """Reads lattice, species and positions only: ase.io takes 20 s for all columns of these files."""
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as lines:
        for k, first in enumerate(lines):
            comment = next(lines)
            atoms = [next(lines) for _ in range(int(first))]
            if k % stride:
                continue
            cell = np.array(re.search(r'Lattice="([^"]*)"', comment).group(1).split(), float).reshape(3, 3)
            assert "Properties=species:S:1:pos:R:3" in comment, comment
            columns = [atom.split(None, 4) for atom in atoms]
            positions = np.array([column[1:4] for column in columns], float)
            numbers = np.array([atomic_numbers[column[0]] for column in columns])
            yield f"{os.path.basename(path)}#{k}", cell, wrapped(np.linalg.solve(cell.T, positions.T).T), numbers


def minerals(path, stride):
    with zipfile.ZipFile(path) as archive:
        prototypes = json.loads(archive.read(archive.namelist()[0]))
    entries = [entry for name in sorted(prototypes) for entry in prototypes[name]]
    for _, _, jarvis_id, atoms in entries[::stride]:
        cell = np.array(atoms["lattice_mat"], float)
        coordinates = np.array(atoms["coords"], float)
        if atoms["cartesian"]:
            coordinates = coordinates @ np.linalg.inv(cell)
        yield jarvis_id, cell, wrapped(coordinates), np.array([atomic_numbers[e.strip()] for e in atoms["elements"]])


def real_structures(shared, stride):
    """The 60 of dev.extxyz, and every stride-th of JARVIS minerals and of six sets of relaxed, hot and compressed frames."""
    yield from extended_xyz(f"{shared}/models/dev.extxyz", 1)
    yield from minerals(f"{shared}/data/jarvis/mineral_name_prototype.json.zip", stride)
    for name in (
        "alexandria-random-1k",
        "mpf-TP",
        "mpf-alkali-TP",
        "mptrj-highest-stress-1k",
        "mptrj-random-1k",
        "random-TP",
    ):
        yield from extended_xyz(f"{shared}/data/mattersim-benchmarks/{name}.xyz.gz", stride)
