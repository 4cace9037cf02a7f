"""Prints generated crystals as gemmi, pymatgen and ASE write them, one JSON line a file: arguments, folder (unused), count, seed.

Each crystal has a random setting of a space group of gemmi's table, a cell of its kind, and one to four sites, some at special
places; crystals with atoms nearer than 1.7 Angstrom are thrown away. `numbers`, `cell` and `fractional` say what is in the whole cell.
"""

import io
import json
import random
import sys
import warnings
from contextlib import suppress

import gemmi
import numpy as np
from ase import Atoms
from ase.io import write
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

warnings.filterwarnings("ignore")
count, seed = int(sys.argv[2]), int(sys.argv[3])
draw = random.Random(seed)
settings = list(gemmi.spacegroup_table())
ELEMENTS = "H Li C N O F Na Si P S Cl K Ti Fe Cu Zn Br Nb I Cs W U".split()


def cell_of(setting):
    """Parameters that every operation of the setting keeps: the metric of a random cell, averaged over the group."""
    a, b, c = (draw.uniform(4, 9) for _ in range(3))
    angles = np.radians([draw.uniform(70, 110) for _ in range(3)])
    cosines = np.cos(angles)
    metric = np.array(
        [
            [a * a, a * b * cosines[2], a * c * cosines[1]],
            [a * b * cosines[2], b * b, b * c * cosines[0]],
            [a * c * cosines[1], b * c * cosines[0], c * c],
        ]
    )
    turned = []
    for operation in setting.operations().sym_ops:
        rotation = np.array(operation.rot, float) / operation.DEN
        turned.append(rotation.T @ metric @ rotation)
    metric = np.mean(turned, axis=0)
    lengths = np.sqrt(np.diag(metric))
    angle = [np.degrees(np.arccos(metric[i, j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    return [round(float(x), 6) for x in (*lengths, *angle)]


def away(cell, one, other):
    positions = [cell.orthogonalize(gemmi.Fractional(*position)) for position in (one, other)]
    return cell.find_nearest_image(*positions, gemmi.Asu.Any).dist()


def crystal():
    setting = draw.choice(settings)
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*cell_of(setting))
    small.spacegroup_hm = setting.xhm()
    small.symops = [operation.triplet() for operation in setting.operations()]
    for i in range(draw.randint(1, 4)):
        site = gemmi.SmallStructure.Site()
        symbol = draw.choice(ELEMENTS)
        site.label, site.type_symbol, site.element = f"{symbol}{i + 1}", symbol, gemmi.Element(symbol)
        site.fract = gemmi.Fractional(
            *(draw.choice([0, 0.5, 0.25, round(draw.random(), 6), round(draw.random(), 6)]) for _ in range(3))
        )
        site.occ = 1
        small.add_site(site)
    numbers, fractional = [], []
    for site in small.sites:
        images = []
        for operation in setting.operations():
            position = np.mod(operation.apply_to_xyz(site.fract.tolist()), 1)
            distance = min((away(small.cell, position, other) for other in images), default=9)
            if 1e-3 < distance < 0.2:
                return None  # nearly a special place, where readers move atoms onto it
            if distance > 0.2:
                images.append(position)
        numbers += [site.element.atomic_number] * len(images)
        fractional += images
    if len(numbers) > 200:
        return None
    lattice = Lattice.from_parameters(*small.cell.parameters)
    structure = Structure(lattice, numbers, fractional)
    distances = structure.distance_matrix + 10 * np.eye(len(numbers))
    if min(distances.min(), *lattice.abc) < 1.7:
        return None
    return setting, small, structure


def gemmi_cif(setting, small, style):
    """The ways CIF has to say the symmetry: operations, symbols of both kinds, or only one of them."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    cell = dict(zip(names, small.cell.parameters, strict=True))
    block = gemmi.cif.Document().add_new_block("x")
    for name, value in cell.items():
        block.set_pair(f"_cell_{name}", str(value))
    quote = gemmi.cif.quote
    if style in ("symbol", "all"):
        block.set_pair("_space_group_name_H-M_alt", quote(setting.xhm()))
    if style in ("hall", "all"):
        block.set_pair("_space_group_name_Hall", quote(setting.hall))
    if style in ("operations", "all"):
        block.init_loop("_space_group_symop_", ["operation_xyz"]).set_all_values(
            [[quote(text) for text in small.symops]]
        )
    loop = block.init_loop("_atom_site_", ["label", "type_symbol", "fract_x", "fract_y", "fract_z"])
    for site in small.sites:
        loop.add_row([site.label, site.type_symbol, *(str(x) for x in site.fract.tolist())])
    return block.as_string()


def ase_text(atoms, kind, **options):
    file = io.BytesIO() if kind == "cif" else io.StringIO()
    write(file, atoms, format=kind, **options)
    return file.getvalue().decode() if kind == "cif" else file.getvalue()


made = 0
while made < count:
    found = crystal()
    if not found:
        continue
    setting, small, structure = found
    made += 1
    # Groups of atoms together, as VASP has them.
    structure = structure.get_sorted_structure()
    atoms = Atoms(
        numbers=structure.atomic_numbers,
        cell=structure.lattice.matrix,
        scaled_positions=structure.frac_coords,
        pbc=True,
    )
    files = [
        ("operations.cif", gemmi_cif(setting, small, "operations")),
        ("symbol.cif", gemmi_cif(setting, small, "symbol")),
        ("hall.cif", gemmi_cif(setting, small, "hall")),
        ("all.cif", gemmi_cif(setting, small, "all")),
        ("pymatgen.cif", str(CifWriter(structure))),
        ("ase.cif", ase_text(atoms, "cif")),
        ("pymatgen.poscar", Poscar(structure).get_str(direct=made % 2 == 0, significant_figures=12)),
        ("ase.vasp", ase_text(atoms, "vasp", direct=made % 2 == 0, sort=True)),
        ("ase.extxyz", ase_text(atoms, "extxyz")),
        ("ase.xsf", ase_text(atoms, "xsf")),
        ("ase.json", ase_text(atoms, "json")),
        ("pymatgen.json", json.dumps(structure.as_dict())),
        ("ase.lammps", ase_text(atoms, "lammps-data", masses=True, atom_style="atomic")),
    ]
    with suppress(Exception):  # spglib finds no group for some of these
        files.append(("symmetric.cif", str(CifWriter(structure, symprec=1e-4))))
    for name, text in files:
        print(
            json.dumps(
                {
                    "name": f"{made}/{name}",
                    "setting": setting.xhm(),
                    "text": text,
                    "numbers": [int(z) for z in structure.atomic_numbers],
                    "cell": list(structure.lattice.parameters),
                    "fractional": np.mod(structure.frac_coords, 1).ravel().tolist(),
                    "turned": name in ("symmetric.cif", "ase.lammps"),
                }
            )
        )
