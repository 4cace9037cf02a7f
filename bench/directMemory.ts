// `node dist/bench/directMemory.js`: peak memory of distributed DIRECT at 1,000,000 atoms of 64 columns, in 16 and in 128 shards, each in a
// process of its own. Rows are drawn again for every step, as a worker reads a shard again: no step holds more than one shard.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LeafFeatures } from '../latent/birch.js';
import { clusterLeaves, DIRECT_THRESHOLD, summariseShard } from '../latent/leafClusters.js';
import { mergeMoments, momentsOf, type Moments } from '../latent/moments.js';
import { chooseAnchors, nominate, nominateReplacements, type Nomination } from '../latent/nomination.js';
import { applyDirectProjection, fitDirectProjection } from '../latent/pca.js';
import { normalFrom, seededRandom } from '../latent/random.js';
import { processorSeconds } from './processorSeconds.js';

const ATOMS = 1_000_000;
const DIM = 64;
const ANCHORS = 100;
/** Element-like clusters: their centres are as far apart as rows of a mixture of unit variance, and scatter by this. */
const CLUSTERS = 60;
const SCATTER = 0.4;

/** Peak memory and time of one process. */
interface Measured {
  shards: number;
  peakMegabytes: number;
  processorSeconds: number;
  leaves: number;
}

const centres = Float64Array.from({ length: CLUSTERS * DIM }, normalFrom(seededRandom(1)));

/** Rows of one shard, the same whenever they are asked for. */
function rowsOf(shard: number, n: number): Float32Array {
  const random = seededRandom(1000 + shard);
  const normal = normalFrom(random);
  const x = new Float32Array(n * DIM);
  for (let row = 0, at = 0; row < n; row++) {
    const cluster = Math.floor(CLUSTERS * random() ** 2);
    for (let c = 0; c < DIM; c++) x[at++] = centres[cluster * DIM + c] + SCATTER * normal();
  }
  return x;
}

async function measure(shards: number): Promise<Measured> {
  const cuts = Array.from({ length: shards + 1 }, (_, i) => Math.floor((i * ATOMS) / shards));
  const size = (shard: number) => cuts[shard + 1] - cuts[shard];
  let moments: Moments | undefined;
  for (let shard = 0; shard < shards; shard++) {
    const own = await momentsOf(rowsOf(shard, size(shard)), size(shard), DIM);
    moments = moments ? mergeMoments([moments, own]) : own;
  }
  const projection = fitDirectProjection(moments!);
  const projectedRows = async (shard: number) => ({
    projected: await applyDirectProjection(projection, rowsOf(shard, size(shard)), size(shard)),
    n: size(shard),
    ids: {
      materialIds: Array.from({ length: size(shard) }, (_, row) => `m-${cuts[shard] + row}`),
      atomIndices: new Int32Array(size(shard)),
    },
  });
  for (let threshold = DIRECT_THRESHOLD; ;) {
    const leaves: LeafFeatures[] = [];
    for (let shard = 0; shard < shards; shard++) {
      const { projected, n } = await projectedRows(shard);
      leaves.push(summariseShard(projected, n, projection.p, { threshold }));
    }
    const result = clusterLeaves(leaves, ANCHORS, { threshold });
    if (result.status === 'refit') {
      threshold = result.threshold;
      continue;
    }
    let anchors: (Nomination | null)[] = [];
    do {
      const nominations: Nomination[][] = [];
      for (let shard = 0; shard < shards; shard++) {
        const rows = await projectedRows(shard);
        nominations.push(
          anchors.length === 0
            ? await nominate(rows, result.centres)
            : nominateReplacements(rows, result.centres, anchors),
        );
      }
      anchors = chooseAnchors(nominations, ANCHORS, anchors);
    } while (anchors.includes(null));
    return {
      shards,
      peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
      processorSeconds: Math.round(processorSeconds()),
      leaves: result.leaves,
    };
  }
}

const asked = process.argv[2];
if (asked !== undefined) console.log(JSON.stringify(await measure(Number(asked))));
else {
  const found = [16, 128].map(
    (shards) =>
      JSON.parse(
        execFileSync(process.execPath, [fileURLToPath(import.meta.url), String(shards)]).toString(),
      ) as Measured,
  );
  for (const { shards, peakMegabytes, processorSeconds: seconds, leaves } of found)
    console.log(`${shards} shards: ${peakMegabytes} MB at most, ${seconds} s of processor time, ${leaves} leaves`);
  if (found[1].peakMegabytes > found[0].peakMegabytes) {
    console.error('bench: more shards took more memory');
    process.exitCode = 1;
  }
}
