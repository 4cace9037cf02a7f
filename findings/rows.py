"""Two lists of atoms to compare potentials on: relaxed crystals, and molecular dynamics at high temperature and pressure.

Both hold the same number of structures, one a formula (frames of one trajectory are near-copies of each other, and their
being neighbours says nothing), and of each structure up to ATOMS atoms of different symmetry orbits, other elements first.

    python rows.py OUTPUT FOLDER     writes FOLDER/equilibrium.txt and FOLDER/extreme.txt
"""

import hashlib
import sys
from pathlib import Path

from dataset import Run

ATOMS = 4
SEED = 42
SOURCES = {"equilibrium": ("mp20_subset",), "extreme": ("mpf-TP", "mpf-alkali-TP", "random-TP")}


def rank(material_id: str) -> str:
    """A random order that does not change with what else is in the list."""
    return hashlib.sha256(f"{SEED} {material_id}".encode()).hexdigest()


def chosen_atoms(numbers: list[int], orbits: list[int]) -> list[int]:
    """Up to ATOMS orbit representatives, those of elements not yet taken first."""
    representatives = [atom for atom, first in enumerate(orbits) if first == atom]
    seen: dict[int, int] = {}
    turns = []
    for atom in representatives:
        seen[numbers[atom]] = seen.get(numbers[atom], 0) + 1
        turns.append((seen[numbers[atom]], atom))
    return sorted(atom for _, atom in sorted(turns)[:ATOMS])


def main(output: Path, folder: Path) -> None:
    structures = Run(output, "findings").table(
        "structures", ["material_id", "formula", "atomic_numbers", "orbits", "source"]
    )
    lists = {}
    for name, prefixes in SOURCES.items():
        first = {}
        for row in sorted(structures.iter_rows(named=True), key=lambda row: rank(row["material_id"])):
            if row["source"].startswith(prefixes):
                first.setdefault(row["formula"], row)
        lists[name] = list(first.values())
    count = min(map(len, lists.values()))
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in lists.items():
        lines = [
            f"{row['material_id']}:{atom}"
            for row in rows[:count]
            for atom in chosen_atoms(row["atomic_numbers"], row["orbits"])
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
        print(f"{name}: {len(lines)} atoms of {count} structures", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
