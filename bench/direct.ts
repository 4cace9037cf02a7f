import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { anchorQuality } from '../latent/basis/anchorQuality.js';
import { direct } from '../latent/basis/direct.js';
import { type ClusterOptions, clusterLeaves, summariseShard } from '../latent/basis/leafClusters.js';
import { type Nomination, chooseAnchors, nominate, nominateReplacements } from '../latent/basis/nomination.js';
import { matrix } from '../latent/base/matrix.js';
import { mergeMoments, momentsOf } from '../latent/statistics/moments.js';
import { applyDirectProjection, fitDirectProjection } from '../latent/basis/pca.js';
import { mixtureRows } from '../test/latent/randomRows.js';
import { startPythonPeer } from './pythonPeer.js';

/** As many atoms and columns as MP-20 has with MACE's scalars. */
const ATOMS = 282_847;
const COLUMNS = 128;
const ANCHORS = 100;

/** At this threshold the mixture has about as many leaves as anchors, as real embeddings have at 0.3. */
const THRESHOLD = 0.15;

/** As many clusters as a database has elements. */
const rowsOf = (n: number, columns: number, shard?: number): Float32Array => mixtureRows(n, columns, 90, 0.3, 1, shard);

interface Answer {
  rows: number[];
  p: number;
  leaves: number;
  threshold: number;
  project: number;
  cluster: number;
  choose: number;
}

/**
 * DIRECT against scikit-learn by maml's rules on the same synthetic rows: koine on one thread, scikit-learn on one and on two, in one run.
 * Then 1,000,000 atoms in 10 and in 1,000 shards, with the peak of memory.
 */
export async function main(): Promise<void> {
  const x = rowsOf(ATOMS, COLUMNS);
  const folder = await mkdtemp(join(tmpdir(), 'koine-bench-'));
  await writeFile(join(folder, 'x'), x);
  console.log(`DIRECT, ${ANCHORS} anchors of ${ATOMS} x ${COLUMNS}; seconds`);
  const options: ClusterOptions = { centre: 'maml-compat', threshold: THRESHOLD };
  await direct(rowsOf(5000, COLUMNS, 1), 5000, COLUMNS, ANCHORS, options); // warms up
  const start = performance.now();
  const ours = await direct(x, ATOMS, COLUMNS, ANCHORS, options);
  const seconds = (performance.now() - start) / 1000;
  const projected = matrix(await applyDirectProjection(ours.projection, x, ATOMS), ATOMS, ours.projection.p);
  const quality = (rows: ArrayLike<number>): string => {
    const { coverage, meanDistance } = anchorQuality(projected, rows, new Int32Array(ATOMS));
    return `coverage ${coverage.toFixed(3)}, mean distance ${meanDistance.toFixed(4)}`;
  };
  const leaves = ours.centres.leafLabels.length;
  console.log(`  koine, 1 thread         ${seconds.toFixed(2).padStart(7)}  ${leaves} leaves, ${quality(ours.rows)}`);
  const peer = startPythonPeer('direct.py');
  for (const threads of [1, 2]) {
    const question = { x: join(folder, 'x'), n: ATOMS, k: ANCHORS, threshold: THRESHOLD, threads };
    const theirs = await peer.ask<Answer>(question);
    if (theirs.p !== ours.projection.p || Math.abs(theirs.threshold / ours.threshold - 1) > 1e-9) {
      throw new Error(
        `bench/direct: koine keeps ${ours.projection.p} components at threshold ${ours.threshold}, ` +
          `scikit-learn ${theirs.p} at ${theirs.threshold}`,
      );
    }
    const total = theirs.project + theirs.cluster + theirs.choose;
    const common = theirs.rows.filter((row) => ours.rows.includes(row)).length;
    console.log(
      `  scikit-learn, ${threads} thread${threads > 1 ? 's' : ' '} ${total.toFixed(2).padStart(7)}  ${theirs.leaves} leaves, ${quality(theirs.rows)}, ` +
        `${common} anchors in common (project ${theirs.project.toFixed(1)}, cluster ${theirs.cluster.toFixed(1)}, choose ${theirs.choose.toFixed(1)}); ` +
        `koine is ${(total / seconds).toFixed(1)} times as fast`,
    );
  }
  await peer.end();
  await rm(folder, { recursive: true });
  for (const shards of [10, 1000]) await million(shards);
}

/** 1,000,000 atoms shard by shard; no more than one shard of rows is ever held. */
async function million(shards: number): Promise<void> {
  const [n, dim] = [1_000_000 / shards, 32];
  const start = performance.now();
  let peak = 0;
  let moments = await momentsOf(rowsOf(n, dim, 0), n, dim);
  for (let shard = 1; shard < shards; shard++)
    moments = mergeMoments([moments, await momentsOf(rowsOf(n, dim, shard), n, dim)]);
  const projection = fitDirectProjection(moments);
  const projectedOf = async (shard: number): Promise<Float64Array> => {
    peak = Math.max(peak, process.memoryUsage().rss);
    return applyDirectProjection(projection, rowsOf(n, dim, shard), n);
  };
  let threshold = THRESHOLD;
  for (;;) {
    const summaries = [];
    for (let shard = 0; shard < shards; shard++) {
      summaries.push(summariseShard(await projectedOf(shard), n, projection.p, { threshold }));
    }
    const result = clusterLeaves(summaries, ANCHORS, { threshold });
    if (result.status === 'refit') {
      threshold = result.threshold;
      continue;
    }
    const idsOf = (shard: number) => ({
      materialIds: new Array<string>(n).fill(`shard-${shard}`),
      atomIndices: Int32Array.from({ length: n }, (_, row) => row),
    });
    let anchors: (Nomination | null)[] = [];
    do {
      const nominations: Nomination[][] = [];
      for (let shard = 0; shard < shards; shard++) {
        const rows = { projected: await projectedOf(shard), n, ids: idsOf(shard) };
        nominations.push(
          anchors.length === 0
            ? await nominate(rows, result.centres)
            : nominateReplacements(rows, result.centres, anchors),
        );
      }
      anchors = chooseAnchors(nominations, ANCHORS, anchors);
    } while (anchors.includes(null));
    const leaves = summaries.reduce((sum, { count }) => sum + count, 0);
    console.log(
      `  1,000,000 atoms x ${dim} in ${shards} shards: ${((performance.now() - start) / 1000).toFixed(1)} s, ` +
        `${leaves} leaves at threshold ${threshold.toFixed(3)}, peak ${(peak / 2 ** 20).toFixed(0)} MiB`,
    );
    return;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
