"""Writes archives and Parquet files for the reader tests: folder, CIF text, POSCAR text."""

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder, cif, poscar = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


inner = zipped([("c.cif", cif)], zipfile.ZIP_STORED)
content = zipped(
    [
        ("sub/", b""),
        ("sub/a.cif", cif),
        (".hidden.cif", cif),
        ("__MACOSX/sub/._a.cif", b"junk"),
        ("b.cif.gz", gzip.compress(cif.encode())),
        ("mp-1/POSCAR", poscar),
        ("notes.txt", "no structure"),
        ("inner.zip", inner),
    ]
)
(folder / "set.zip").write_bytes(content)
(folder / "set.zip.gz").write_bytes(gzip.compress(content))
(folder / "empty.zip").write_bytes(zipped([]))
deep = inner
for _ in range(6):
    deep = zipped([("deeper.zip", deep)])
(folder / "deep.zip").write_bytes(deep)
broken = bytearray(zipped([("a.cif", cif * 20), ("b.cif", cif)]))
broken[60:80] = b"\xff" * 20  # inside the deflated bytes of a.cif
(folder / "broken.zip").write_bytes(broken)

n = 2500
structures = pa.table(
    {
        "material_id": [f"m-{i}" for i in range(n)],
        "structure_hash": ["00"] * n,
        "n_atoms": pa.array([2] * n, pa.int32()),
        "atomic_numbers": pa.array([[11, 17]] * n, pa.list_(pa.int32())),
        "lattice": pa.array([[5.6, 0, 0, 0, 5.6, 0, 0, 0, 5.6]] * n, pa.list_(pa.float64(), 9)),
        "fractional_coordinates": pa.array([[0, 0, 0, 0.5, 0.5, 0.5]] * n, pa.list_(pa.float64())),
    }
)
for codec in ["zstd", "snappy", "gzip", "none"]:
    pq.write_table(structures, folder / f"{codec}.parquet", compression=codec, row_group_size=2000)
pq.write_table(
    pa.table({"mp_id": ["a", "b"], "cif": [cif, "junk"], "wide": [[0.0] * 1000] * 2}), folder / "cif.parquet"
)
pq.write_table(
    pa.table(
        {
            "immutable_id": ["x"],
            "lattice_vectors": pa.array([[[5.6, 0, 0], [0, 5.6, 0], [0, 0, 5.6]]], pa.list_(pa.list_(pa.float64()))),
            "species_at_sites": [["Na", "Cl"]],
            "cartesian_site_positions": pa.array([[[0, 0, 0], [2.8, 2.8, 2.8]]], pa.list_(pa.list_(pa.float64()))),
        }
    ),
    folder / "optimade.parquet",
)
pq.write_table(pa.table({"energy": [1.0, 2.0]}), folder / "other.parquet")
