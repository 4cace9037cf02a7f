import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { matrix, type Matrix } from '../latent/base/matrix.js';
import { normalFrom, seededRandom } from '../latent/base/random.js';
import { euclideanCost } from '../latent/transport/cost.js';
import { exactTransport } from '../latent/transport/exact.js';
import { multiscaleTransport } from '../latent/transport/multiscale.js';
import { sinkhorn } from '../latent/transport/sinkhorn.js';
import { processorSeconds } from './processorSeconds.js';
import { median, startPythonPeer } from './pythonPeer.js';
import { benchModels, realCoordinates } from './realCoordinates.js';

interface Answer {
  cost: number;
  distanceSeconds: number;
  solveSeconds: number;
  residual: number;
}

interface Problem {
  title: string;
  x: Matrix;
  y: Matrix;
  passes: number;
}

/**
 * Exact transport against POT's `ot.emd` and entropic transport against its `ot.sinkhorn`, from coordinates to plan, on one thread each, taking turns in
 * one run. Both sides compute the distances themselves (`ot.dist` there). Seconds are of the processor, not of the clock: other work on the
 * machine then tells less. Prints medians and ratios, and how far the multiscale solver is from the optimum.
 * @throws Error if the two disagree on an exact cost by more than 1e-9
 */
export async function main(): Promise<void> {
  const { a, b } = await realCoordinates();
  const rows = (x: Matrix<Float32Array>, first: number, count: number) =>
    matrix(x.data.slice(first * x.columns, (first + count) * x.columns), count, x.columns);
  const same = (n: number, passes: number): Problem => ({
    title: `same ${n} atoms`,
    x: rows(a, 0, n),
    y: rows(b, 0, n),
    passes,
  });
  const problems: Problem[] = [
    same(1000, 9),
    same(2000, 5),
    same(4000, 3),
    { title: 'disjoint, 4000 each', x: rows(a, 0, 4000), y: rows(b, 4000, 4000), passes: 3 },
    { title: 'disjoint, 5000 and 3000', x: rows(a, 0, 5000), y: rows(b, 5000, 3000), passes: 3 },
    { title: 'synthetic, 5000 each', x: normalCloud(5000, 1, 0), y: normalCloud(5000, 2, 0.5), passes: 1 },
  ];
  const folder = await mkdtemp(join(tmpdir(), 'koine-bench-'));
  const peer = startPythonPeer('transport.py');
  console.log(
    `exact transport, ${benchModels.join(' against ')}, 100 coordinates; seconds: distances + solver, medians`,
  );
  for (const problem of problems) {
    const files = await write(folder, problem);
    await compare(
      problem,
      () => exact(problem),
      () => peer.ask<Answer>({ ...files, solver: 'emd' }),
      1e-9,
    );
  }
  await multiscale({ title: 'disjoint, 5000 each', x: rows(a, 0, 5000), y: rows(b, 5000, 5000), passes: 1 });
  console.log('entropic transport, epsilon 0.05 of the median cost, to a marginal error of 1e-6');
  const entropic = { ...same(2000, 3), title: 'same 2000 atoms' };
  const files = await write(folder, entropic);
  for (const method of ['sinkhorn_log', 'sinkhorn_stabilized'])
    await compare(
      { ...entropic, title: `${entropic.title}, ${method}` },
      () => entropy(entropic),
      () => peer.ask<Answer>({ ...files, solver: method }),
      1e-4,
    );
  await peer.end();
  await rm(folder, { recursive: true });
}

async function compare(
  problem: Problem,
  ours: () => Promise<Answer>,
  theirs: () => Promise<Answer>,
  agreement: number,
): Promise<void> {
  const passes: { koine: Answer[]; POT: Answer[] } = { koine: [], POT: [] };
  for (let pass = 0; pass < problem.passes; pass++) {
    passes.koine.push(await ours());
    passes.POT.push(await theirs());
  }
  const [one, other] = [passes.koine[0], passes.POT[0]];
  if (Math.abs(one.cost - other.cost) > agreement * other.cost)
    throw new Error(`bench/transport: ${problem.title}: koine finds ${one.cost}, POT ${other.cost}`);
  const seconds = (answers: Answer[], part: (answer: Answer) => number) => median(answers.map(part));
  const total = (answers: Answer[]) => seconds(answers, (answer) => answer.distanceSeconds + answer.solveSeconds);
  for (const name of ['koine', 'POT'] as const) {
    const [distance, solve] = [
      seconds(passes[name], (answer) => answer.distanceSeconds),
      seconds(passes[name], (answer) => answer.solveSeconds),
    ];
    console.log(
      `  ${problem.title.padEnd(38)} ${name.padEnd(5)} ${distance.toFixed(3)} + ${solve.toFixed(3)}  cost ${passes[name][0].cost.toPrecision(12)}  residual ${passes[name][0].residual.toExponential(1)}`,
    );
  }
  const solver =
    seconds(passes.POT, (answer) => answer.solveSeconds) / seconds(passes.koine, (answer) => answer.solveSeconds);
  console.log(
    `  ${problem.title.padEnd(38)} koine is ${(total(passes.POT) / total(passes.koine)).toFixed(2)} times as fast as POT, its solver alone ${solver.toFixed(2)} times`,
  );
}

async function exact({ x, y }: Problem): Promise<Answer> {
  const start = processorSeconds();
  const cost = await euclideanCost(x, y);
  const middle = processorSeconds();
  const plan = await exactTransport(cost);
  return { ...times(start, middle), cost: plan.cost, residual: plan.marginalResidual };
}

async function entropy({ x, y }: Problem): Promise<Answer> {
  const start = processorSeconds();
  const cost = await euclideanCost(x, y);
  const middle = processorSeconds();
  const plan = await sinkhorn(cost, { epsilon: 0.05, tolerance: 1e-6 });
  return { ...times(start, middle), cost: plan.cost, residual: plan.marginalResidual };
}

function times(start: number, middle: number) {
  return { distanceSeconds: middle - start, solveSeconds: processorSeconds() - middle };
}

/** The multiscale solver on a problem that the exact one can take. */
async function multiscale({ title, x, y }: Problem): Promise<void> {
  const exactly = await exact({ title, x, y, passes: 1 });
  const start = processorSeconds();
  const { cost, gap } = await multiscaleTransport(x, y);
  const error = ((cost / exactly.cost - 1) * 100).toFixed(3);
  const bound = (((gap ?? NaN) / cost) * 100).toFixed(2);
  console.log(
    `  ${title.padEnd(38)} multiscale: ${(processorSeconds() - start).toFixed(3)}, ${error} % above the optimum, known to be within ${bound} %; exact ${(exactly.distanceSeconds + exactly.solveSeconds).toFixed(3)}`,
  );
}

async function write(folder: string, { x, y }: Problem) {
  const [xFile, yFile] = [join(folder, 'x'), join(folder, 'y')];
  await writeFile(xFile, Float64Array.from(x.data));
  await writeFile(yFile, Float64Array.from(y.data));
  return { x: xFile, y: yFile, n: x.rows, m: y.rows };
}

function normalCloud(n: number, seed: number, shift: number): Matrix {
  const normal = normalFrom(seededRandom(seed));
  return matrix(
    Float64Array.from({ length: n * 100 }, () => shift + normal()),
    n,
    100,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
