"""numpy's, scipy's and scikit-learn's side of bench/similarity.ts: one timed metric for each line on stdin."""

import json
import sys
from time import process_time

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import rankdata
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


def distance_correlation(x, y):
    """Distances once; a permutation relabels them."""
    a, b = cdist(x, x), cdist(y, y)
    a, b = (d - d.mean(0) - d.mean(1)[:, None] + d.mean() for d in (a, b))
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return lambda permutation: np.sqrt(max(0, (a * b[permutation[:, None], permutation]).sum() / norm))


def information_imbalance(x, y):
    """Ranks once; a permutation relabels them. By the nearest row, both ways, of which the first is the answer."""
    n = len(x)
    a, b = cdist(x, x), cdist(y, y)
    np.fill_diagonal(a, np.inf)
    np.fill_diagonal(b, np.inf)
    near_a, near_b = a.argmin(1), b.argmin(1)
    ranks_a, ranks_b = rankdata(a, axis=1), rankdata(b, axis=1)
    rows = np.arange(n)

    def value(permutation):
        inverse = np.empty(n, int)
        inverse[permutation] = rows
        to_b = 2 / n * ranks_b[permutation, permutation[near_a]].mean()
        to_a = 2 / n * ranks_a[inverse, inverse[near_b]].mean()
        return to_b, to_a

    return value


metrics = {
    f.__name__: f
    for f in (mutual_knn_euclidean, linear_cka, angular_procrustes, distance_correlation, information_imbalance)
}
rng = np.random.default_rng(2)
for line in sys.stdin:
    ask = json.loads(line)
    n = ask["n"]
    x, y = (np.fromfile(ask[name]).reshape(-1, ask["columns"])[:n] for name in "xy")
    start = process_time()
    observed = float(np.ravel(metrics[ask["metric"]](x, y)(np.arange(n)))[0])
    middle = process_time()
    value = metrics[ask["metric"]](x, y)
    value(np.arange(n))
    for _ in range(ask["permutations"]):
        value(rng.permutation(n))
    print(
        json.dumps({"value": observed, "seconds": middle - start, "nullSeconds": process_time() - middle}), flush=True
    )
