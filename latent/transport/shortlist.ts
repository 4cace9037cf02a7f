import type { CostSource } from './cost.js';
import type { InitialPlan } from './networkSimplex.js';

/** Arcs worth solving on, by source, then sink, each once. */
export interface Shortlist {
  length: number;
  source: Int32Array;
  sink: Int32Array;
  cost: Float64Array;
  /** Cost less the potentials that the list was made with, >= 0. */
  reduced: Float64Array;
}

/**
 * The arcs of lowest reduced cost: `perSource` for every source and `perSink` for every sink, given potentials g [m] of the sinks; those of the
 * sources follow as f_i = min_j (C_ij - g_j). Ties go to the lower index.
 */
export async function shortlist(
  cost: CostSource,
  g: Float64Array,
  perSource: number,
  perSink: number,
): Promise<Shortlist> {
  const { n, m } = cost;
  const rowSize = Math.min(perSource, m);
  const columnSize = Math.min(perSink, n);
  const rowSink = new Int32Array(n * rowSize);
  const rowCost = new Float64Array(n * rowSize);
  const rowReduced = new Float64Array(n * rowSize).fill(Infinity);
  const columnSource = new Int32Array(m * columnSize);
  const columnCost = new Float64Array(m * columnSize);
  const columnReduced = new Float64Array(m * columnSize).fill(Infinity);
  await cost.scan((i, values, offset) => {
    const first = i * rowSize;
    const last = first + rowSize - 1;
    let worst = Infinity;
    for (let j = 0; j < m; j++) {
      const value = values[offset + j] - g[j];
      if (value >= worst) continue;
      let at = last;
      for (; at > first && rowReduced[at - 1] > value; at--) {
        rowReduced[at] = rowReduced[at - 1];
        rowSink[at] = rowSink[at - 1];
      }
      rowReduced[at] = value;
      rowSink[at] = j;
      worst = rowReduced[last];
    }
    const f = rowReduced[first];
    for (let at = first; at <= last; at++) {
      rowReduced[at] -= f;
      rowCost[at] = values[offset + rowSink[at]];
    }
    for (let j = 0; j < m; j++) {
      const value = values[offset + j] - g[j] - f;
      const begin = j * columnSize;
      let at = begin + columnSize - 1;
      if (value >= columnReduced[at]) continue;
      for (; at > begin && columnReduced[at - 1] > value; at--) {
        columnReduced[at] = columnReduced[at - 1];
        columnSource[at] = columnSource[at - 1];
        columnCost[at] = columnCost[at - 1];
      }
      columnReduced[at] = value;
      columnSource[at] = i;
      columnCost[at] = values[offset + j];
    }
  });

  // Both lists as one, sorted by (source, sink); an arc on both has bit-equal entries.
  const rowArcs = n * rowSize;
  const all = rowArcs + m * columnSize;
  const sourceOf = (at: number) => (at < rowArcs ? Math.floor(at / rowSize) : columnSource[at - rowArcs]);
  const sinkOf = (at: number) => (at < rowArcs ? rowSink[at] : Math.floor((at - rowArcs) / columnSize));
  const keys = new Float64Array(all);
  for (let at = 0; at < all; at++) keys[at] = sourceOf(at) * m + sinkOf(at);
  const order = Uint32Array.from(keys.keys()).sort((a, b) => keys[a] - keys[b] || a - b);
  let length = 0;
  for (let at = 0; at < all; at++) if (at === 0 || keys[order[at]] !== keys[order[at - 1]]) order[length++] = order[at];
  const list: Shortlist = {
    length,
    source: new Int32Array(length),
    sink: new Int32Array(length),
    cost: new Float64Array(length),
    reduced: new Float64Array(length),
  };
  for (let at = 0; at < length; at++) {
    const from = order[at];
    list.source[at] = sourceOf(from);
    list.sink[at] = sinkOf(from);
    list.cost[at] = from < rowArcs ? rowCost[from] : columnCost[from - rowArcs];
    list.reduced[at] = from < rowArcs ? rowReduced[from] : columnReduced[from - rowArcs];
  }
  return list;
}

/**
 * A feasible plan: mass along the shortlist in order of reduced cost, then each source with mass left to the cheapest sinks that have room.
 * Every step exhausts a source or a sink, so that the arcs form a forest.
 */
export function greedyPlan(
  cost: CostSource,
  arcs: Shortlist,
  g: Float64Array,
  supply: Float64Array,
  demand: Float64Array,
): InitialPlan {
  const { n, m } = cost;
  const left = supply.slice();
  const room = demand.slice();
  const plan = { length: 0, source: new Int32Array(n + m), sink: new Int32Array(n + m), mass: new Float64Array(n + m) };
  const send = (i: number, j: number) => {
    const mass = Math.min(left[i], room[j]);
    left[i] -= mass;
    room[j] -= mass;
    plan.source[plan.length] = i;
    plan.sink[plan.length] = j;
    plan.mass[plan.length++] = mass;
  };
  const order = Uint32Array.from(arcs.reduced.keys()).sort((a, b) => arcs.reduced[a] - arcs.reduced[b] || a - b);
  for (const at of order)
    if (left[arcs.source[at]] > 0 && room[arcs.sink[at]] > 0) send(arcs.source[at], arcs.sink[at]);

  let open = Int32Array.from(room.keys()).filter((j) => room[j] > 0);
  for (let i = 0; i < n; i++) {
    while (left[i] > 0) {
      let cheapest = -1;
      let lowest = Infinity;
      for (const j of open) {
        const value = room[j] > 0 ? cost.at(i, j) - g[j] : Infinity;
        if (value < lowest) {
          lowest = value;
          cheapest = j;
        }
      }
      send(i, cheapest);
    }
    if (room.length > 0 && i % 64 === 63) open = open.filter((j) => room[j] > 0);
  }
  return plan;
}
