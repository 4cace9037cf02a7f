"""Structures as pymatgen and ASE read them, one JSON line each: source, order, numbers, lattice (or lengths and angles), frac.

Arguments: folder of real structures, stride (every n-th structure of the large sets), set names.
`ordered` says whether the reader keeps the file's atom order (pymatgen's CIF parser sorts).
"""

import ast
import csv
import gzip
import io
import json
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
csv.field_size_limit(10**9)
root, stride, sets = Path(sys.argv[1]) / "data", int(sys.argv[2]), sys.argv[3:]


def emit(source, ordered, numbers, lattice, frac, cellpar=None):
    print(
        json.dumps(
            {
                "source": source,
                "ordered": ordered,
                "numbers": [int(z) for z in numbers],
                "lattice": None if lattice is None else np.asarray(lattice).ravel().tolist(),
                "cellpar": cellpar,
                "frac": (np.asarray(frac) % 1.0).ravel().tolist(),
            }
        )
    )


def from_pymatgen(source, structure, ordered):
    emit(source, ordered, structure.atomic_numbers, structure.lattice.matrix, structure.frac_coords)


def from_ase(source, atoms, ordered=True, oriented=True):
    emit(
        source,
        ordered,
        atoms.numbers,
        atoms.cell[:] if oriented else None,
        atoms.get_scaled_positions(wrap=False),
        atoms.cell.cellpar().tolist(),
    )


def pymatgen_cif(text):
    from pymatgen.io.cif import CifParser

    # frac_tolerance: pymatgen would move 0.33333 to 1/3 also where all atoms are listed
    return CifParser(io.StringIO(text), frac_tolerance=0).parse_structures(primitive=False)[0]


def mp20():
    with gzip.open(root / "mp20-subset/mp20_subset.csv.gz", "rt") as file:
        for i, row in enumerate(csv.DictReader(file)):
            if i % stride == 0:
                from_pymatgen(f"mp20_subset.csv.gz:{i}", pymatgen_cif(row["cif"]), False)


def lemat():
    from ase.io import read

    for name in ["baseline_mp", "baseline_oqmd", "baseline_alexandria", "baseline_aflow", "lematbulk_samples_5x1000"]:
        with zipfile.ZipFile(root / f"lemat-genbench/{name}.zip") as archive:
            for i, member in enumerate(m for m in archive.namelist() if m.endswith(".cif")):
                if i % stride == 0:
                    text = archive.read(member).decode()
                    from_pymatgen(f"{name}.zip/{member}", pymatgen_cif(text), False)
                    from_ase(f"{name}.zip/{member}", read(io.BytesIO(text.encode()), format="cif"), True, False)


def xyz():
    from ase.io.extxyz import read_xyz

    for path in sorted((root / "mattersim-benchmarks").glob("*.xyz.gz")):
        with gzip.open(path, "rt") as file:
            text = io.StringIO(file.read())  # ASE seeks back and forth
            for i, atoms in enumerate(read_xyz(text, slice(None))):
                if i % stride == 0:
                    from_ase(f"{path.name}:{i}", atoms)


def entries():
    for name in ["Li-Co-Ni-O", "Na-Fe-P-O"]:
        with gzip.open(root / f"mp-entries/{name}.json.gz", "rt") as file:
            for i, entry in enumerate(json.load(file)):
                if i % stride == 0:
                    from pymatgen.core import Structure

                    from_pymatgen(f"{name}.json.gz:{i}", Structure.from_dict(entry["structure"]), True)


def minerals():
    with zipfile.ZipFile(root / "jarvis/mineral_name_prototype.json.zip") as archive:
        data = json.loads(archive.read("mineral_name_prototype.json"))
    from pymatgen.core import Structure

    for i, entry in enumerate(e for group in data.values() for e in group):
        if i % stride == 0:
            atoms = entry[3]
            structure = Structure(
                atoms["lattice_mat"], atoms["elements"], atoms["coords"], coords_are_cartesian=atoms["cartesian"]
            )
            from_pymatgen(f"mineral_name_prototype.json.zip/mineral_name_prototype.json:{i}", structure, True)


def xsf():
    from ase.io import read

    with zipfile.ZipFile(root / "acwf/acwf_PBE_v1_xsf.zip") as archive:
        for i, member in enumerate(archive.namelist()):
            if i % stride == 0:
                from_ase(
                    f"acwf_PBE_v1_xsf.zip/{member}", read(io.StringIO(archive.read(member).decode()), format="xsf")
                )


def dielectric():
    """CIF text out of the Python literals of the meta column: input for koine, with pymatgen's reading."""
    with gzip.open(root / "matminer-legacy/dielectric_constant.csv.gz", "rt") as file:
        file.readline()
        for row in csv.DictReader(file):
            meta = ast.literal_eval(row["meta"])
            print(json.dumps({"material_id": meta["material_id"], "cif": meta["structure"]}))


def samples():
    """Every file of the format samples that pymatgen or ASE reads; POSCAR as pymatgen does without guessing elements."""
    from ase.io import read
    from pymatgen.core import Structure
    from pymatgen.io.vasp import Poscar

    for path in sorted((root / "format-samples").glob("*/*")):
        if path.name.endswith(".poscar"):
            try:
                poscar = Poscar.from_str(path.read_text())
                if poscar.true_names:
                    from_pymatgen(path.name, poscar.structure, True)
            except (ValueError, IndexError):
                pass
        elif path.name.endswith(".cif"):
            try:
                structure = pymatgen_cif(path.read_text())
                if structure.is_ordered:
                    from_pymatgen(path.name, structure, False)
            except ValueError:
                pass
        elif path.name.endswith(".extxyz"):
            from_ase(path.name, read(path))
        elif path.parent.name == "matterviz" and path.name.endswith((".json", ".json.gz")):
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            data = json.loads(text)
            if isinstance(data, dict) and "lattice" in data:
                structure = Structure.from_dict(data)
                if structure.is_ordered:
                    from_pymatgen(path.name, structure, True)
            elif isinstance(data, list):
                from_pymatgen(path.name, Structure.from_dict(data[0]["structure"]), True)
            else:
                attributes = data["data"]["attributes"]
                from_pymatgen(
                    path.name,
                    Structure(
                        attributes["lattice_vectors"],
                        attributes["species_at_sites"],
                        attributes["cartesian_site_positions"],
                        coords_are_cartesian=True,
                    ),
                    True,
                )
    with gzip.open(root / "format-samples/mp_api_materials_Li_Fe_V.json.gz", "rt") as file:
        for i, document in enumerate(json.load(file)):
            from_pymatgen(f"mp_api_materials_Li_Fe_V.json.gz:{i}", Structure.from_dict(document["structure"]), True)


for name in sets:
    globals()[name]()
