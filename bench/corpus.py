"""Holds koine's reading of files (JSON lines on stdin) against pymatgen, ASE and gemmi: argument, the folder of the files."""

import collections
import contextlib
import gzip
import io
import json
import os
import signal
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")
folder = sys.argv[1]
SECONDS = 20


def pymatgen_cif(text):
    from pymatgen.io.cif import CifParser

    for structure in CifParser(io.StringIO(text)).parse_structures(primitive=False, check_occu=False):
        yield reading(structure)


def reading(structure):
    if not structure.is_ordered:
        raise ValueError("disordered")
    return structure.atomic_numbers, structure.lattice.parameters, structure.frac_coords


def pymatgen_poscar(text):
    from pymatgen.io.vasp import Poscar

    yield reading(Poscar.from_str(text).structure)


def pymatgen_xdatcar(text):
    from pymatgen.io.vasp import Xdatcar

    with open("/tmp/XDATCAR", "w") as file:
        file.write(text)
    for structure in Xdatcar("/tmp/XDATCAR").structures:
        yield reading(structure)


def pymatgen_json(text):
    from pymatgen.core import Structure

    yield reading(Structure.from_dict(json.loads(text)))


def ase_reader(kind):
    def read(text):
        from ase.io import iread

        for atoms in iread(io.StringIO(text), format=kind, index=":"):
            if not atoms.pbc.all():
                raise ValueError("not periodic")
            occupancies = atoms.info.get("occupancy") or {}
            if any(abs(sum(site.values()) - 1) > 1e-3 or len(site) > 1 for site in occupancies.values()):
                raise ValueError("disordered")
            yield atoms.numbers, atoms.cell.cellpar(), atoms.get_scaled_positions()

    return read


def gemmi_cif(text):
    import gemmi

    for block in gemmi.cif.read_string(text):
        small = gemmi.make_small_structure_from_block(block)
        if not small.sites or not small.cell.is_crystal():
            continue
        sites = small.get_all_unit_cell_sites()
        if any(abs(site.occ - 1) > 1e-3 for site in sites):
            raise ValueError("disordered")
        cell = small.cell
        parameters = cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma
        yield [site.element.atomic_number for site in sites], parameters, [site.fract.tolist() for site in sites]


def readers_of(name, text):
    base = os.path.basename(name).removesuffix(".gz")
    extension = base.rsplit(".", 1)[-1].lower()
    if extension in ("cif", "mcif", "mmcif"):
        return {"gemmi": gemmi_cif, "pymatgen": pymatgen_cif, "ase": ase_reader("cif")}
    if "XDATCAR" in base:
        return {"pymatgen": pymatgen_xdatcar, "ase": ase_reader("vasp-xdatcar")}
    if extension in ("vasp", "poscar") or "POSCAR" in base or "CONTCAR" in base:
        return {"pymatgen": pymatgen_poscar, "ase": ase_reader("vasp")}
    if extension in ("xyz", "extxyz"):
        return {"ase": ase_reader("extxyz")}
    if extension == "xsf":
        return {"ase": ase_reader("xsf")}
    if extension == "json" and text.lstrip().startswith("{") and '"lattice"' in text:
        return {"pymatgen": pymatgen_json}
    return {}


def parameters_of(lattice):
    lattice = np.reshape(lattice, (3, 3))
    lengths = np.linalg.norm(lattice, axis=1)
    angles = [
        np.degrees(np.arccos(np.clip(lattice[i] @ lattice[j] / lengths[i] / lengths[j], -1, 1)))
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    return [*lengths, *angles]


def equal(item, other):
    """Same cell, and each atom within 0.02 of the cell's edges of one of its element."""
    numbers, parameters, fractional = other
    if sorted(item["numbers"]) != sorted(int(z) for z in numbers):
        return False
    if not np.allclose(parameters_of(item["lattice"]), parameters, rtol=1e-4, atol=2e-3):
        return False
    mine, theirs = np.reshape(item["fractional"], (-1, 3)), np.reshape(fractional, (-1, 3))
    theirs_by_element = {z: theirs[[int(n) == z for n in numbers]] for z in set(item["numbers"])}
    for z, position in zip(item["numbers"], mine, strict=True):
        step = theirs_by_element[z] - position
        if np.min(np.max(np.abs(step - np.round(step)), axis=1)) > 0.02:
            return False
    return True


def told(item):
    if "code" in item:
        return f"{item['code']}: {item['message'][:150]}"
    counts = collections.Counter(item["numbers"])
    return f"{len(item['numbers'])} atoms {dict(counts)} {[round(float(x), 3) for x in parameters_of(item['lattice'])]}"


class TooLong(Exception):
    pass


def on_alarm(*_):
    raise TooLong


signal.signal(signal.SIGALRM, on_alarm)
tally = collections.Counter()
for line in sys.stdin:
    record = json.loads(line)
    path = os.path.join(folder, record["file"])
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            raw = file.read()
    except OSError:
        continue
    text = raw.decode("utf8", "replace")
    references = {}
    for name, read in readers_of(record["file"], text).items():
        signal.alarm(SECONDS)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                references[name] = list(read(text))
        except TooLong:
            references[name] = "over 20 s"
        except Exception as error:
            references[name] = f"{type(error).__name__}: {str(error)[:80]}"
        finally:
            signal.alarm(0)
    if not references:
        tally["no reference reads this kind"] += 1
        continue
    read_by = {name: found for name, found in references.items() if isinstance(found, list) and found}
    items = record["items"]
    mine = [item for item in items if "code" not in item]
    agree = [
        name
        for name, found in read_by.items()
        if len(found) == len(items) == len(mine) and all(map(equal, items, found))
    ]
    if agree:
        verdict = "read as all references do" if len(agree) == len(read_by) else "read as some references do"
    elif mine:
        verdict = "READ OTHERWISE" if read_by else "READ BY KOINE ALONE"
    else:
        verdict = "REFUSED THOUGH READ" if read_by else "refused by all"
    tally[verdict] += 1
    if verdict.isupper() or (verdict.endswith("some references do") and "-v" in sys.argv):
        print(f"{verdict} {record['file']}")
        for item in items[:3]:
            print(f"   koine: {told(item)}")
        for name, found in references.items():
            shown = (
                found
                if isinstance(found, str)
                else [
                    f"{len(n)} atoms {dict(collections.Counter(int(z) for z in n))} {[round(float(x), 3) for x in p]}"
                    for n, p, _ in found[:2]
                ]
            )
            print(f"   {name}: {shown}")
    if record["seconds"] > 2:
        print(f"SLOW {record['file']}: {record['seconds']:.1f} s")
print(dict(tally))
