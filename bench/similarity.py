"""numpy's and scikit-learn's side of bench/similarity.ts: one timed metric for each line on stdin."""

import json
import sys
from time import perf_counter

import numpy as np
from sklearn.neighbors import NearestNeighbors

K = 10


def mutual_knn_euclidean(x, y):
    """Neighbour sets once; a permutation relabels them."""
    n = len(x)
    a, b = (NearestNeighbors(n_neighbors=K, algorithm="brute").fit(z).kneighbors(return_distance=False) for z in (x, y))
    of_a = np.zeros((n, n), bool)
    np.put_along_axis(of_a, a, True, 1)
    rows = np.arange(n)

    def value(permutation):
        inverse = np.empty(n, int)
        inverse[permutation] = rows
        return of_a[rows[:, None], inverse[b[permutation]]].mean()

    return value


def linear_cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return lambda permutation: np.linalg.norm(x.T @ y[permutation]) ** 2 / norm


def angular_procrustes(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return lambda permutation: np.arccos(min(1, np.linalg.svd(x.T @ y[permutation], compute_uv=False).sum() / norm))


metrics = {f.__name__: f for f in (mutual_knn_euclidean, linear_cka, angular_procrustes)}
rng = np.random.default_rng(2)
for line in sys.stdin:
    ask = json.loads(line)
    n = ask["n"]
    x, y = (np.fromfile(ask[name]).reshape(n, -1) for name in "xy")
    start = perf_counter()
    observed = float(metrics[ask["metric"]](x, y)(np.arange(n)))
    middle = perf_counter()
    value = metrics[ask["metric"]](x, y)
    value(np.arange(n))
    for _ in range(ask["permutations"]):
        value(rng.permutation(n))
    print(json.dumps({"value": observed, "seconds": middle - start, "nullSeconds": perf_counter() - middle}), flush=True)
