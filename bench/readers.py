"""Writes crystals of `{"archive", "folder", "count"}` as files, then answers `{"kind", "reader"}` with seconds to read them all."""

import glob
import io
import json
import sys
import time
import warnings
import zipfile
from pathlib import Path

import gemmi
from ase.io import iread, read, write
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp import Poscar

warnings.filterwarnings("ignore")
setting = json.loads(sys.stdin.readline())
archive, folder, count = setting["archive"], setting["folder"], setting["count"]

structures, frames = [], []
with zipfile.ZipFile(archive) as members:
    for i, member in enumerate([name for name in members.namelist() if name.endswith(".cif")][:count]):
        text = members.read(member).decode()
        structure = CifParser(io.StringIO(text)).parse_structures(primitive=False)[0]
        with open(f"{folder}/{i}.cif", "w") as file:
            file.write(text)
        Poscar(structure).write_file(f"{folder}/{i}.vasp")
        structures.append(structure)
        atoms = structure.to_ase_atoms()
        atoms.info = {}
        frames.append(atoms)

write(f"{folder}/all.extxyz", frames, format="extxyz")
with open(f"{folder}/all.json", "w") as file:
    json.dump([structure.as_dict() for structure in structures], file)

CIF, VASP = (sorted(glob.glob(f"{folder}/*.{extension}")) for extension in ("cif", "vasp"))


def gemmi_cif(path):
    gemmi.read_small_structure(path).get_all_unit_cell_sites()


READERS = {
    "cif": {
        "gemmi": lambda: [gemmi_cif(path) for path in CIF],
        "pymatgen": lambda: [CifParser(path).parse_structures(primitive=False) for path in CIF],
        "ase": lambda: [read(path, format="cif") for path in CIF],
    },
    "vasp": {
        "pymatgen": lambda: [Poscar.from_file(path, check_for_potcar=False) for path in VASP],
        "ase": lambda: [read(path, format="vasp") for path in VASP],
    },
    "extxyz": {"ase": lambda: list(iread(f"{folder}/all.extxyz", index=":", format="extxyz"))},
    "json": {
        "pymatgen": lambda: [Structure.from_dict(value) for value in json.loads(Path(f"{folder}/all.json").read_text())]
    },
}

print(json.dumps({kind: list(readers) for kind, readers in READERS.items()}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    start = time.perf_counter()
    READERS[question["kind"]][question["reader"]]()
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
