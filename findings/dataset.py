"""The tables of one run of a koine output folder, found through its catalog and manifest as any reader would."""

import json
from pathlib import Path

import polars as pl


class Run:
    """A published run. Tables are read on demand; partition folders (`model=...`) become columns."""

    def __init__(self, output: Path, name: str):
        self.output = output
        entry = json.loads((output / "catalog.json").read_text())["runs"][name]
        self.manifest = self._node(f"manifests/{entry['manifest']}.json")
        self._tables = {table["table"]: table["key"] for table in self.manifest["tables"]}

    def table(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """All rows of a table of this run, and of no other run in the same folder."""
        parts = self._parts(self._tables[name])
        frames = []
        for part in parts:
            folders = dict(folder.split("=", 1) for folder in part["key"].split("/") if "=" in folder)
            frame = pl.read_parquet(self.output / part["key"], columns=columns, hive_partitioning=False)
            frames.append(frame.with_columns(**{k: pl.lit(v) for k, v in folders.items() if k not in frame.columns}))
        return pl.concat(frames) if frames else pl.DataFrame()

    def _parts(self, key: str) -> list[dict]:
        node = self._node(key)
        return node.get("parts", []) + [part for one in node.get("part_lists", []) for part in self._parts(one["key"])]

    def _node(self, key: str) -> dict:
        return json.loads((self.output / key).read_text())
