import { matrix, takeRows, type Matrix } from '../base/matrix.js';
import { squaredDistance } from '../neighbours/pairwise.js';
import { normalFrom, seededRandom } from '../base/random.js';
import { EuclideanCost, euclideanCost } from './cost.js';
import { exactTransport } from './exact.js';
import { integerMasses } from './masses.js';
import type { PricedPlan } from './sparsePlan.js';

/** Options of `multiscaleTransport`. */
export interface MultiscaleOptions {
  /** Cells of each cloud at most, the size of the coarse problem. Default 1,000. */
  cells?: number;
  /** Arcs solved for together in a round of refinement at most. Default 1,000. */
  block?: number;
  /** Rounds of refinement. Default 4. */
  rounds?: number;
  /** Of the partitions. Default 0. */
  seed?: number;
  /** Up to so many pairs of points a lower bound is computed, which looks at all of them. Default 2^28, 16,000 points a side. */
  mostPairs?: number;
}

/** A feasible plan near the optimum. Masses sum to 1. */
export interface MultiscalePlan extends PricedPlan {
  cost: number;
  /** Lower bound on the cost of any plan and the distance to it; null above `mostPairs`. */
  dual: number | null;
  gap: number | null;
  marginalResidual: number;
  /** Exact problems solved. */
  iterations: number;
}

/** Arcs with masses in integer units. */
interface Arcs {
  source: Int32Array;
  sink: Int32Array;
  units: Float64Array;
}

/**
 * Optimal transport of clouds too large for the exact solver, under uniform weights and Euclidean cost: a plan whose marginals are exact and whose cost is
 * above the optimum by a little. Both clouds are cut into cells; the exact plan between the cells' means says how much each cell sends where,
 * exact plans within a cell say which of its members, and exact plans between the members that two cells exchange say to whom. Then rounds of
 * refinement: a random tree over the sources (in every second round over the sinks) cuts the arcs into blocks, and each block is solved exactly, so
 * that the cost falls in every round. Time grows as n (cells + block) p, memory as n + cells² + block².
 */
export async function multiscaleTransport(
  x: Matrix,
  y: Matrix,
  options: MultiscaleOptions = {},
): Promise<MultiscalePlan> {
  const { cells = 1_000, block = 1_000, rounds = 4, seed = 0, mostPairs = 2 ** 28 } = options;
  const solver = new BlockSolver(x, y);
  const { supply, demand, total } = integerMasses(x.rows, y.rows);
  let arcs = await coarseStart(solver, supply, demand, cells);
  for (let round = 0; round < rounds; round++) {
    const [cloud, ends] = round % 2 === 0 ? [x, arcs.source] : [y, arcs.sink];
    const leaves = randomTree(cloud, ends, block, seededRandom(seed + round));
    const solved: Arcs[] = [];
    for (const leaf of leaves) solved.push(await solver.again(arcs, leaf));
    arcs = joined(solved);
  }
  const plan = figuresOf(x, y, ordered(arcs), total);
  const dual = x.rows * y.rows <= mostPairs ? await lowerBound(solver, arcs, cells) : null;
  return { ...plan, dual, gap: dual === null ? null : plan.cost - dual, iterations: solver.solved };
}

/** Solves parts of a problem exactly, counting them. */
class BlockSolver {
  solved = 0;

  constructor(
    readonly x: Matrix,
    readonly y: Matrix,
  ) {}

  /** The optimal plan from some rows to some columns, given the units of each (both sides have the same total), and potentials of the columns. */
  async solve(
    rows: Int32Array,
    columns: Int32Array,
    supply: Float64Array,
    demand: Float64Array,
    [x, y]: [Matrix, Matrix] = [this.x, this.y],
  ): Promise<Arcs & { columns: Int32Array; g: Float64Array }> {
    this.solved++;
    const cost = await euclideanCost(takeRows(x, rows), takeRows(y, columns));
    const plan = await exactTransport(cost, { sourceWeights: supply, sinkWeights: demand });
    const total = supply.reduce((sum, units) => sum + units, 0);
    return {
      source: plan.source.map((i) => rows[i]),
      sink: plan.sink.map((j) => columns[j]),
      units: plan.mass.map((mass) => Math.round(mass * total)),
      columns,
      g: plan.g,
    };
  }

  /** What some arcs carry, sent anew at the least cost. */
  again(arcs: Arcs, chosen: Int32Array): ReturnType<BlockSolver['solve']> {
    const rows = gathered(chosen, arcs.source, arcs.units);
    const columns = gathered(chosen, arcs.sink, arcs.units);
    return this.solve(rows.ids, columns.ids, rows.units, columns.units);
  }
}

/** Cells of a cloud: their members and means. */
interface Cells {
  members: Int32Array[];
  means: Matrix<Float64Array>;
}

/** A feasible plan by way of cells. */
async function coarseStart(
  solver: BlockSolver,
  supply: Float64Array,
  demand: Float64Array,
  cells: number,
): Promise<Arcs> {
  const { x, y } = solver;
  const [from, to] = [await cellsOf(x, cells), await cellsOf(y, cells)];
  const units = (cell: Int32Array, masses: Float64Array) => cell.reduce((sum, point) => sum + masses[point], 0);
  const coarse = await solver.solve(
    Int32Array.from(from.members.keys()),
    Int32Array.from(to.members.keys()),
    Float64Array.from(from.members, (cell) => units(cell, supply)),
    Float64Array.from(to.members, (cell) => units(cell, demand)),
    [from.means, to.means],
  );
  const count = coarse.units.length;
  const senders: Arcs[] = [];
  const receivers: Arcs[] = [];
  const [bySource, bySink] = [grouped(coarse.source, from.members.length), grouped(coarse.sink, to.members.length)];
  for (const [cell, arcs] of bySource.entries()) {
    const members = from.members[cell];
    const targets = takeRows(
      to.means,
      Int32Array.from(arcs, (arc) => coarse.sink[arc]),
    );
    senders.push(await split(solver, [x, targets], members, arcs, supply, coarse.units));
  }
  for (const [cell, arcs] of bySink.entries()) {
    const members = to.members[cell];
    const targets = takeRows(
      from.means,
      Int32Array.from(arcs, (arc) => coarse.source[arc]),
    );
    receivers.push(await split(solver, [y, targets], members, arcs, demand, coarse.units));
  }
  const [sent, received] = [joined(senders), joined(receivers)];
  const [sentBy, receivedBy] = [grouped(sent.sink, count), grouped(received.sink, count)];
  const arcs: Arcs[] = [];
  for (let arc = 0; arc < count; arc++) {
    const rows = gathered(sentBy[arc], sent.source, sent.units);
    const columns = gathered(receivedBy[arc], received.source, received.units);
    arcs.push(await solver.solve(rows.ids, columns.ids, rows.units, columns.units));
  }
  return joined(arcs);
}

/** Which members of a cell serve which of its arcs, by their distance to the mean of the cell at the other end: arcs from members to `arcs`. */
async function split(
  solver: BlockSolver,
  [cloud, targets]: [Matrix, Matrix],
  members: Int32Array,
  arcs: Int32Array,
  masses: Float64Array,
  units: Float64Array,
): Promise<Arcs> {
  const supply = Float64Array.from(members, (point) => masses[point]);
  if (arcs.length === 1) return { source: members, sink: new Int32Array(members.length).fill(arcs[0]), units: supply };
  const demand = Float64Array.from(arcs, (arc) => units[arc]);
  const positions = Int32Array.from(arcs.keys());
  const solved = await solver.solve(members, positions, supply, demand, [cloud, targets]);
  return { ...solved, sink: solved.sink.map((position) => arcs[position]) };
}

/** At most `count` cells: every point goes to the nearest of as many points spread evenly over the list. */
async function cellsOf(x: Matrix, count: number): Promise<Cells> {
  const n = x.rows;
  const k = Math.min(count, n);
  const centres = takeRows(
    x,
    Int32Array.from({ length: k }, (_, cell) => Math.floor((cell * n) / k)),
  );
  const nearest = new Int32Array(n);
  await new EuclideanCost(x, centres).scan((i, values, offset) => {
    let best = 0;
    for (let cell = 1; cell < k; cell++) if (values[offset + cell] < values[offset + best]) best = cell;
    nearest[i] = best;
  });
  const members = grouped(nearest, k).filter((cell) => cell.length > 0);
  const means = matrix(new Float64Array(members.length * x.columns), members.length, x.columns);
  members.forEach((points, cell) => {
    for (const point of points)
      for (let c = 0; c < x.columns; c++)
        means.data[cell * x.columns + c] += x.data[point * x.columns + c] / points.length;
  });
  return { members, means };
}

/** Cuts arcs by where their ends lie: halves at the median along random directions, until no part has more than `size`. */
function randomTree(cloud: Matrix, ends: Int32Array, size: number, random: () => number): Int32Array[] {
  const normal = normalFrom(random);
  const leaves: Int32Array[] = [];
  const parts = [Int32Array.from(ends.keys())];
  for (let part = parts.pop(); part; part = parts.pop()) {
    if (part.length <= size) {
      leaves.push(part);
      continue;
    }
    const direction = Float64Array.from({ length: cloud.columns }, normal);
    const along = new Float64Array(ends.length);
    for (const arc of part) {
      const row = ends[arc] * cloud.columns;
      for (let c = 0; c < cloud.columns; c++) along[arc] += direction[c] * cloud.data[row + c];
    }
    part.sort((a, b) => along[a] - along[b] || a - b);
    const middle = part.length >> 1;
    parts.push(part.subarray(middle), part.subarray(0, middle));
  }
  return leaves;
}

/** Distinct ends of some arcs in rising order, with the units that they carry in all. */
function gathered(chosen: Int32Array, ends: Int32Array, units: Float64Array) {
  const sums = new Map<number, number>();
  for (const arc of chosen) sums.set(ends[arc], (sums.get(ends[arc]) ?? 0) + units[arc]);
  const ids = Int32Array.from(sums.keys()).sort();
  return { ids, units: Float64Array.from(ids, (id) => sums.get(id)!) };
}

/** Positions of each key 0 .. count - 1. */
function grouped(keys: Int32Array, count: number): Int32Array[] {
  const sizes = new Int32Array(count);
  for (const key of keys) sizes[key]++;
  const groups = Array.from(sizes, (size) => new Int32Array(size));
  sizes.fill(0);
  keys.forEach((key, position) => (groups[key][sizes[key]++] = position));
  return groups;
}

function joined(parts: readonly Arcs[]): Arcs {
  const length = parts.reduce((sum, { units }) => sum + units.length, 0);
  const all: Arcs = { source: new Int32Array(length), sink: new Int32Array(length), units: new Float64Array(length) };
  let at = 0;
  for (const { source, sink, units } of parts) {
    all.source.set(source, at);
    all.sink.set(sink, at);
    all.units.set(units, at);
    at += units.length;
  }
  return all;
}

/** Arcs by source, then sink; those that occur twice become one. */
function ordered(arcs: Arcs): Arcs {
  const order = Uint32Array.from(arcs.units.keys()).sort(
    (a, b) => arcs.source[a] - arcs.source[b] || arcs.sink[a] - arcs.sink[b],
  );
  const plan = { source: [] as number[], sink: [] as number[], units: [] as number[] };
  for (const arc of order) {
    const last = plan.units.length - 1;
    if (plan.source[last] === arcs.source[arc] && plan.sink[last] === arcs.sink[arc])
      plan.units[last] += arcs.units[arc];
    else {
      plan.source.push(arcs.source[arc]);
      plan.sink.push(arcs.sink[arc]);
      plan.units.push(arcs.units[arc]);
    }
  }
  return {
    source: Int32Array.from(plan.source),
    sink: Int32Array.from(plan.sink),
    units: Float64Array.from(plan.units),
  };
}

function figuresOf(x: Matrix, y: Matrix, { source, sink, units }: Arcs, total: number) {
  const [n, m] = [x.rows, y.rows];
  const mass = units.map((value) => value / total);
  const arcCost = mass.map((_, arc) => Math.sqrt(squaredDistance(x, source[arc], y, sink[arc])));
  const [rows, columns] = [new Float64Array(n), new Float64Array(m)];
  let cost = 0;
  mass.forEach((moved, arc) => {
    cost += moved * arcCost[arc];
    rows[source[arc]] += moved;
    columns[sink[arc]] += moved;
  });
  const worst = (sums: Float64Array, weight: number) =>
    sums.reduce((most, sum) => Math.max(most, Math.abs(sum - weight)), 0);
  const marginalResidual = Math.max(worst(rows, 1 / n), worst(columns, 1 / m));
  return { n, m, source, sink, mass, arcCost, cost, marginalResidual };
}

/**
 * A lower bound on the cost of any plan: potentials of an exact problem on some of the plan's arcs, carried over to all sources by way of those sinks, then
 * to all sinks by a pass over all costs, which makes them feasible.
 */
async function lowerBound(solver: BlockSolver, arcs: Arcs, size: number): Promise<number> {
  const { x, y } = solver;
  const count = Math.min(size, arcs.units.length);
  const chosen = Int32Array.from({ length: count }, (_, k) => Math.floor((k * arcs.units.length) / count));
  const { columns, g } = await solver.again(arcs, chosen);
  const f = new Float64Array(x.rows).fill(Infinity);
  await new EuclideanCost(x, takeRows(y, columns)).scan((i, values, offset) => {
    for (let j = 0; j < columns.length; j++) f[i] = Math.min(f[i], values[offset + j] - g[j]);
  });
  const all = new Float64Array(y.rows).fill(Infinity);
  await new EuclideanCost(x, y).scan((i, values, offset) => {
    const potential = f[i];
    for (let j = 0; j < all.length; j++) {
      const value = values[offset + j] - potential;
      if (value < all[j]) all[j] = value;
    }
  });
  const mean = (potentials: Float64Array) =>
    potentials.reduce((sum, potential) => sum + potential, 0) / potentials.length;
  return mean(f) + mean(all);
}
