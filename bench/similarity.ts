import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { matrix, type Matrix } from '../latent/base/matrix.js';
import { comparePair } from '../latent/similarity/comparePair.js';
import type { SimilarityMetric } from '../config/names.js';
import { isDense } from '../latent/similarity/metrics.js';
import { processorSeconds } from './processorSeconds.js';
import { median, startPythonPeer } from './pythonPeer.js';
import { realCoordinates } from './realCoordinates.js';

const ROWS = 4000;
/** Of metrics that look at all pairs. */
const DENSE_ROWS = 1000;
const METRICS = [
  ...(['mutual_knn_euclidean', 'linear_cka', 'angular_procrustes'] as const),
  ...(['distance_correlation', 'information_imbalance'] as const),
];
const PERMUTATIONS = 200;
const PASSES = 3;

interface Answer {
  value: number;
  seconds: number;
  nullSeconds: number;
}

/**
 * Similarity metrics of two real potentials against numpy and scikit-learn, 4,000 rows of 100 coordinates (1,000 for metrics of all pairs), on one thread each, taking turns in one
 * run: the metric alone, and with 200 permutations. Seconds are of the processor, not of the clock: other work on the machine then tells less. Prints medians and ratios.
 * @throws Error if the two disagree on a value by more than 1e-6
 */
export async function main(): Promise<void> {
  const { a: realA, b: realB } = await realCoordinates();
  const [x, y] = [firstRows(realA, ROWS), firstRows(realB, ROWS)];
  const folder = await mkdtemp(join(tmpdir(), 'koine-bench-'));
  await writeFile(join(folder, 'x'), Float64Array.from(x.data));
  await writeFile(join(folder, 'y'), Float64Array.from(y.data));
  const peer = startPythonPeer('similarity.py');
  console.log(
    `similarity of ${ROWS} rows of ${x.columns} coordinates; seconds without and with ${PERMUTATIONS} permutations, medians`,
  );
  for (const metric of METRICS) {
    const rows = isDense(metric) ? DENSE_ROWS : ROWS;
    const [a, b] = [firstRows(x, rows), firstRows(y, rows)];
    const passes: { koine: Answer[]; Python: Answer[] } = { koine: [], Python: [] };
    for (let pass = 0; pass < PASSES; pass++) {
      passes.koine.push(await timed(metric, a, b));
      passes.Python.push(
        await peer.ask<Answer>({
          metric,
          x: join(folder, 'x'),
          y: join(folder, 'y'),
          n: rows,
          columns: x.columns,
          permutations: PERMUTATIONS,
        }),
      );
    }
    const [ours, theirs] = [passes.koine[0].value, passes.Python[0].value];
    if (Math.abs(ours - theirs) > 1e-6)
      throw new Error(`bench/similarity: ${metric}: koine finds ${ours}, Python ${theirs}`);
    const seconds = (name: keyof typeof passes, part: 'seconds' | 'nullSeconds') =>
      median(passes[name].map((answer) => answer[part]));
    for (const name of ['koine', 'Python'] as const)
      console.log(
        `  ${metric.padEnd(22)} ${name.padEnd(6)} ${seconds(name, 'seconds').toFixed(3)}  ${seconds(name, 'nullSeconds').toFixed(3)}`,
      );
    const ratio = (part: 'seconds' | 'nullSeconds') => (seconds('Python', part) / seconds('koine', part)).toFixed(2);
    console.log(
      `  ${metric.padEnd(22)} koine is ${ratio('seconds')} times as fast, with permutations ${ratio('nullSeconds')} times`,
    );
  }
  await peer.end();
  await rm(folder, { recursive: true });
}

function firstRows({ data, columns }: Matrix<Float32Array>, rows: number): Matrix<Float32Array> {
  return matrix(data.slice(0, rows * columns), rows, columns);
}

async function timed(metric: SimilarityMetric, x: Matrix, y: Matrix): Promise<Answer> {
  const options = { metrics: [metric], seed: 1, replicates: 0 };
  const start = processorSeconds();
  const [{ value }] = await comparePair(x, y, options);
  const middle = processorSeconds();
  const nulls = { kinds: ['free'] as const, permutations: PERMUTATIONS };
  await comparePair(x, y, { ...options, nulls });
  return { value, seconds: middle - start, nullSeconds: processorSeconds() - middle };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
