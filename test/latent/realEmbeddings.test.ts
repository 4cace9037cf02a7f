import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { direct } from '../../latent/basis/direct.js';
import { momentsOf } from '../../latent/statistics/moments.js';
import { cosinesToAnchors } from '../../latent/basis/project.js';
import { normalFrom, seededRandom } from '../../latent/base/random.js';
import { spaceDiagnostics } from '../../latent/diagnostics/spaceDiagnostics.js';
import { referencePython } from '../support/python.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { relativeError } from './randomRows.js';

/** scikit-learn's scaling, PCA and BIRCH and numpy's cosines on an embedding file; BIRCH as in fixtures/anchors.py. */
const reference = `
import json, sys
import numpy as np
import sklearn.cluster._birch as birch
from sklearn.preprocessing import StandardScaler
from sklearn.decomposition import PCA
rounded = birch.euclidean_distances
birch.euclidean_distances = lambda *a, **k: np.maximum(rounded(*a, **k), rounded(*a, **k).T)
results = []
for file in sys.argv[1:]:
    x = np.load(file)["embedding"]
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    pca = PCA(svd_solver="full").fit(scaled)
    p = int((pca.explained_variance_ > 1).sum())
    y = pca.transform(scaled)[:, :p] * pca.explained_variance_ratio_[:p]
    k, threshold = 40, 0.3
    while True:
        model = birch.Birch(n_clusters=k, threshold=threshold).fit(y)
        if len(set(model.subcluster_labels_)) >= k:
            break
        threshold = threshold / k * len(set(model.subcluster_labels_))
    labels = model.predict(y)
    centres = dict(zip(model.subcluster_labels_, model.subcluster_centers_))
    ties = []
    for label in sorted(set(labels)):
        members = np.flatnonzero(labels == label)
        d = np.linalg.norm(y[members] - centres[label], axis=1)
        ties.append(members[d <= d.min() + 1e-9].tolist())
    unit = x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    results.append({"x": x.ravel().tolist(), "n": len(x), "dim": x.shape[1], "p": p, "threshold": threshold,
        "explained": pca.explained_variance_[:p].tolist(), "ties": ties,
        "z": (unit @ unit[::20].T).ravel().tolist(), "cosine": float(((unit.sum(0) ** 2).sum() - len(x)) / (len(x) * (len(x) - 1)))})
print(json.dumps(results))
`;

interface Reference {
  x: number[];
  n: number;
  dim: number;
  p: number;
  threshold: number;
  explained: number[];
  ties: number[][];
  z: number[];
  cosine: number;
}

const models = ['sevennet-0-11jul2024', 'chgnet-0.3.0', 'tensornet-matpes-pbe', 'nequix-mp-1'];

describeShared('real embeddings', () => {
  let references: Reference[];
  beforeAll(() => {
    const files = models.map((model) => sharedPath(`models/${model}/reference-dev.npz`));
    const env = { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
    const options = { maxBuffer: 1 << 28, encoding: 'utf8', env } as const;
    references = JSON.parse(
      execFileSync(referencePython(), ['-W', 'ignore', '-c', reference, ...files], options),
    ) as Reference[];
  });

  test.each(models)(
    "anchors, coordinates and anisotropy of %s are those of scikit-learn, maml's rules and numpy; noise of 1e-6 moves no anchor",
    async (model) => {
      const { n, dim, ...expected } = references[models.indexOf(model)];
      const x = Float32Array.from(expected.x);

      const { rows, projection, threshold } = await direct(x, n, dim, 40, { centre: 'maml-compat' });
      expect(projection.p).toBe(expected.p);
      expect(relativeError(projection.explainedVariance, expected.explained)).toBeLessThan(1e-9);
      expect(threshold).toBeCloseTo(expected.threshold, 12);
      const taken = new Set(rows);
      for (const ties of expected.ties) expect(ties.filter((row) => taken.has(row)).length).toBe(1);

      const anchors = Float32Array.from(
        Array.from({ length: Math.ceil(n / 20) }, (_, i) => [...x.subarray(20 * i * dim, (20 * i + 1) * dim)]).flat(),
      );
      const z = await cosinesToAnchors(x, anchors, dim);
      expect(z.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.z[i])), 0)).toBeLessThan(1e-7);
      expect(spaceDiagnostics(await momentsOf(x, n, dim)).meanCosine).toBeCloseTo(expected.cosine, 10);

      const normal = normalFrom(seededRandom(3));
      const rms = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
      const noisy = x.map((value) => value + 1e-6 * rms * normal());
      expect((await direct(noisy, n, dim, 40)).rows).toEqual((await direct(x, n, dim, 40)).rows);
    },
  );
});
