"""The tables of one run of a koine output folder, found through its catalog and manifest as any reader would."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Model:
    """A model of a run: models of one lineage go back to one training; control is its kind, None for potentials."""

    id: str
    lineage: str
    control: str | None


class Run:
    """A published run. Tables are read on demand; partition folders (`model=...`) become columns."""

    def __init__(self, output: Path, name: str):
        self.output = output
        self.name = name
        runs = json.loads((output / "catalog.json").read_text())["runs"]
        if name not in runs:
            raise SystemExit(f"findings: {output} has no run '{name}'; it has {', '.join(runs) or 'none'}")
        digest = runs[name]["manifest"]
        self.manifest = self._node(f"manifests/{digest}.json")
        self.models = self._models(digest)
        self._tables = {table["table"]: table["key"] for table in self.manifest["tables"]}

    def table(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """All rows of a table of this run, and of no other run in the same folder."""
        if name not in self._tables:
            raise SystemExit(f"findings: run '{self.name}' has no table '{name}'; was it left out of the spec?")
        parts = self._parts(self._tables[name])
        frames = []
        for part in parts:
            folders = dict(folder.split("=", 1) for folder in part["key"].split("/") if "=" in folder)
            frame = pl.read_parquet(self.output / part["key"], columns=columns, hive_partitioning=False)
            frames.append(frame.with_columns(**{k: pl.lit(v) for k, v in folders.items() if k not in frame.columns}))
        return pl.concat(frames) if frames else self._empty(self._node(self._tables[name])["schema"])

    @staticmethod
    def _empty(schema: dict[str, str]) -> pl.DataFrame:
        """A table of the run that has no row: its columns."""
        types = {"string": pl.String, "int32": pl.Int32, "int64": pl.Int64, "double": pl.Float64}
        return pl.DataFrame(schema={name: types.get(kind.rstrip("?"), pl.Null) for name, kind in schema.items()})

    def _models(self, digest: str) -> list[Model]:
        """In the order of the spec, as the summary of the last run with this manifest has them."""
        summaries = [json.loads(file.read_text()) for file in (self.output / "runs").glob("*.json")]
        own = [summary for summary in summaries if summary.get("manifest") == digest]
        if not own:
            raise SystemExit(f"findings: no summary in {self.output}/runs is of manifest {digest} of run '{self.name}'")
        found = max(own, key=lambda summary: summary["ended"])["similarity"]["models"]
        return [Model(model["id"], model["lineage"], model["control"]) for model in found]

    def _parts(self, key: str) -> list[dict]:
        node = self._node(key)
        return node.get("parts", []) + [part for one in node.get("part_lists", []) for part in self._parts(one["key"])]

    def _node(self, key: str) -> dict:
        return json.loads((self.output / key).read_text())
