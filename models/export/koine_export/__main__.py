"""Command line of the exporters: one JSON object a line on stdout, everything else on stderr.

``{"progress": "..."}`` while it works, then ``{"done": {...}}``, or ``{"error": {"code", "message", "remedy"}}`` and exit
status 1. ``koine models add`` runs it in the family's environment; it can be used by hand as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m koine_export", description="Export a potential to a koine model folder."
    )
    parser.add_argument("--family", required=True, help="module of koine_export.families, e.g. mace")
    parser.add_argument("--id", required=True, help="id of the model")
    parser.add_argument("--entry", type=Path, help="catalog entry, a JSON file")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--official", help="name that the official loader knows, e.g. small")
    weights.add_argument("--checkpoint", type=Path, help="checkpoint in the official format")
    parser.add_argument("--layer", help="embedding layer, in the family's words")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="setting of the family"
    )
    parser.add_argument(
        "--structures", type=Path, required=True, help="extended XYZ file to compare with the official code on"
    )
    parser.add_argument("--output", type=Path, required=True, help="model folder to write")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Runs one export; returns the exit status."""
    options = arguments(argv)
    stdout = _take_stdout()

    def say(message: Mapping[str, Any]) -> None:
        print(json.dumps(message), file=stdout, flush=True)

    try:
        from . import harness
        from .family import ExportError, Request
    except ModuleNotFoundError as error:
        remedy = "run the exporter in an environment made from one of models/export/environments/*.lock"
        say(
            {
                "error": {
                    "code": "export_failed",
                    "message": f"Python package '{error.name}' is missing",
                    "remedy": remedy,
                }
            }
        )
        return 1
    try:
        settings = dict(_pair(text) for text in options.settings)
        _must_exist("--checkpoint", options.checkpoint)
        _must_exist("--structures", options.structures)
        _must_exist("--entry", options.entry)
        entry = json.loads(options.entry.read_text(encoding="utf-8")) if options.entry else {}
        progress = lambda line: say({"progress": line})
        progress("loading weights")
        request = Request(
            options.official, options.checkpoint, options.layer, settings, progress, entry.get("weights_sha256")
        )
        say({"done": harness.export(options.family, request, options.id, entry, options.structures, options.output)})
        return 0
    except ExportError as error:
        traceback.print_exc()
        say({"error": {"code": error.code, "message": error.message, "remedy": error.remedy}})
    except Exception as error:
        traceback.print_exc()
        remedy = "the traceback on stderr says where; report it with the versions of the packages"
        say({"error": {"code": "export_failed", "message": f"{type(error).__name__}: {error}", "remedy": remedy}})
    return 1


def _take_stdout() -> TextIO:
    """A private copy of stdout; what packages print, from C too, goes to stderr from here on."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return own


def _pair(text: str) -> tuple[str, str]:
    from .family import ExportError

    key, separator, value = text.partition("=")
    if not separator:
        raise ExportError("bad_checkpoint", f"--set {text}: there is no '='", "write --set key=value")
    return key, value


def _must_exist(option: str, path: Path | None) -> None:
    from .family import ExportError

    if path is not None and not path.exists():  # a checkpoint may be a folder
        raise ExportError("weights_unavailable", f"{option}: there is no {path}", "check the path")


if __name__ == "__main__":
    sys.exit(main())
