"""Prints every setting of gemmi's table: number, Hermann-Mauguin symbol with and without its suffix, Hall symbol, operations."""

import json

import gemmi

for setting in gemmi.spacegroup_table():
    print(
        json.dumps(
            {
                "number": setting.number,
                "symbol": setting.xhm(),
                "bare": setting.hm,
                "hall": setting.hall,
                "operations": [operation.triplet() for operation in setting.operations()],
            }
        )
    )
