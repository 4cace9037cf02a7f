"""Prints real structures as pymatgen and ASE write them: CIF, POSCAR, pymatgen JSON, extended XYZ."""

import io
import json
import sys
import warnings

import ase.io
from ase import Atoms
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar
from real import real_structures

warnings.filterwarnings("ignore")

for name, cell, fractional, numbers in real_structures(sys.argv[1], 20):
    structure = Structure(Lattice(cell), numbers, fractional)
    atoms = Atoms(numbers=numbers, cell=cell, positions=fractional @ cell, pbc=True)
    xyz = io.StringIO()
    ase.io.write(xyz, atoms, format="extxyz")
    for extension, text in (
        ("cif", str(CifWriter(structure))),
        ("poscar", Poscar(structure).get_str()),
        ("json", json.dumps(structure.as_dict())),
        ("extxyz", xyz.getvalue()),
    ):
        print(json.dumps({"id": name, "name": f"it.{extension}", "text": text}))
