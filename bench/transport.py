"""POT's side of bench/transport.ts: one timed solve for each line on stdin."""

import json
import sys
from time import process_time

import numpy as np
import ot

for line in sys.stdin:
    ask = json.loads(line)
    n, m = ask["n"], ask["m"]
    x = np.fromfile(ask["x"]).reshape(n, -1)
    y = np.fromfile(ask["y"]).reshape(m, -1)
    a, b = ot.unif(n), ot.unif(m)
    start = process_time()
    cost = ot.dist(x, y, metric="euclidean")
    middle = process_time()
    if ask["solver"] == "emd":
        plan = ot.emd(a, b, cost, numItermax=100_000_000)
    else:
        reg = 0.05 * float(np.median(cost))
        # It scales by 1 / n after taking scalings over tau into the potentials, so that they come to n again: with tau (1,000) below n it would
        # do so in every iteration and not converge.
        options = {"tau": 1e6} if ask["solver"] == "sinkhorn_stabilized" else {}
        plan = ot.sinkhorn(a, b, cost, reg, method=ask["solver"], numItermax=10_000, stopThr=1e-7, **options)
    end = process_time()
    residual = max(abs(plan.sum(1) - a).max(), abs(plan.sum(0) - b).max())
    answer = {
        "cost": float((plan * cost).sum()),
        "distanceSeconds": middle - start,
        "solveSeconds": end - middle,
        "residual": float(residual),
    }
    print(json.dumps(answer), flush=True)
