"""scikit-learn's side of bench/direct.ts: DIRECT by maml's rules (StandardScaler, PCA, Birch, nearest row to the last leaf of each label)."""

import json
import sys
from time import perf_counter

import numpy as np
from sklearn.cluster import Birch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


def direct(x, k, threshold):
    start = perf_counter()
    scaled = StandardScaler().fit_transform(x)
    pca = PCA().fit(scaled)
    p = int((pca.explained_variance_ > 1).sum())
    y = pca.transform(scaled)[:, :p] * pca.explained_variance_ratio_[:p]
    projected = perf_counter()
    while True:
        model = Birch(n_clusters=k, threshold=threshold).fit(y)
        found = len(set(model.subcluster_labels_))
        if found >= k:
            break
        threshold = threshold / k * found
    clustered = perf_counter()
    labels = model.predict(y)
    centres = dict(zip(model.subcluster_labels_, model.subcluster_centers_, strict=True))
    rows = []
    for label in sorted(set(labels)):
        members = np.flatnonzero(labels == label)
        rows.append(int(members[np.linalg.norm(y[members] - centres[label], axis=1).argmin()]))
    return {
        "rows": rows,
        "p": p,
        "leaves": len(model.subcluster_labels_),
        "threshold": threshold,
        "project": projected - start,
        "cluster": clustered - projected,
        "choose": perf_counter() - clustered,
    }


for line in sys.stdin:
    question = json.loads(line)
    x = np.fromfile(question["x"], np.float32).reshape(question["n"], -1)
    with threadpool_limits(question["threads"]):
        print(json.dumps(direct(x, question["k"], question["threshold"])), flush=True)
