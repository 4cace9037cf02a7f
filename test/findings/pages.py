"""Writes pages as `findings/write.py` does, in one process; of each it tells the error it ended in.

python pages.py FINDINGS OUTPUT...     writes OUTPUT-docs for each, prints a JSON object: error (or null) by OUTPUT
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import write


def error_of(output: str) -> str | None:
    try:
        write.main(Path(output), Path(f"{output}-docs"))
    except SystemExit as refused:
        return str(refused)
    return None


print(json.dumps({output: error_of(output) for output in sys.argv[2:]}))
