import type { NeighbourList } from './neighbours.js';

/** Bonds (undirected edges) and angles (ordered pairs of edges with one centre) of a neighbour list. */
export interface LineGraph {
  /** Number of bonds, half the number of edges. */
  bonds: number;
  /** Number of angles. */
  angles: number;
  /** [e] bond of each edge; (i, j, S) and (j, i, -S) share one. Bonds are numbered by their first edge. */
  edgeToBond: Int32Array;
  /** [bonds] first edge of each bond. */
  bondToEdge: Int32Array;
  /** [2 angles] row-major: the first edges of all angles, then the second edges. */
  angleIndex: Int32Array;
}

/**
 * Line-graph inputs of CHGNet-like networks. An angle is every ordered pair of different edges with the same centre that
 * are both shorter than the angle cutoff; a bond of an atom to its own image has two edges with one centre, which do form
 * an angle. Angles are sorted by (first edge, second edge).
 *
 * Linear in edges and angles: the edges of (j, i) are those of (i, j) in reverse order, and as centres ascend the blocks of
 * any j are met in ascending order, so one cursor per atom finds them.
 * @param list from `neighbourList`, not truncated
 * @param angleCutoffAngstrom in Å
 * @throws RangeError if an edge has no reverse (a list truncated by `maxNeighbours`)
 */
export function lineGraph(list: NeighbourList, angleCutoffAngstrom: number): LineGraph {
  const { edgeToBond, bondToEdge } = pairEdges(list);
  const angleIndex = pairShortEdges(list, angleCutoffAngstrom);
  return { bonds: bondToEdge.length, angles: angleIndex.length / 2, edgeToBond, bondToEdge, angleIndex };
}

function pairEdges(list: NeighbourList): Pick<LineGraph, 'edgeToBond' | 'bondToEdge'> {
  const { count, centres, neighbours, shifts } = list;
  const atoms = count === 0 ? 0 : centres[count - 1] + 1;
  /** First edge of each centre whose block has not been met from the other side. */
  const cursor = new Int32Array(atoms);
  for (let edge = count - 1; edge >= 0; edge--) cursor[centres[edge]] = edge;
  const edgeToBond = new Int32Array(count).fill(-1);
  const bondToEdge = new Int32Array(count >> 1);
  let bonds = 0;
  for (let from = 0, to = 0; from < count; from = to) {
    const i = centres[from];
    const j = neighbours[from];
    while (to < count && centres[to] === i && neighbours[to] === j) to++;
    if (j < i) continue; // met from j's side
    const reverse = cursor[j] ?? count;
    cursor[j] = reverse + to - from;
    for (let k = from; k < to; k++) {
      const opposite = j === i ? from + to - 1 - k : reverse + to - 1 - k;
      const paired =
        opposite < count &&
        centres[opposite] === j &&
        neighbours[opposite] === i &&
        shifts[3 * opposite] === -shifts[3 * k] &&
        shifts[3 * opposite + 1] === -shifts[3 * k + 1] &&
        shifts[3 * opposite + 2] === -shifts[3 * k + 2];
      if (!paired) {
        const shift = shifts.subarray(3 * k, 3 * k + 3).join(',');
        throw new RangeError(
          `structures/lineGraph: edge ${i} -> ${j} with shift (${shift}) has no reverse edge; ` +
            'a line graph needs a neighbour list that is not truncated',
        );
      }
      if (edgeToBond[k] !== -1) continue; // second edge of a bond between an atom and its own image
      bondToEdge[bonds] = k;
      edgeToBond[k] = bonds;
      edgeToBond[opposite] = bonds++;
    }
  }
  if (2 * bonds !== count) {
    const edge = edgeToBond.indexOf(-1);
    throw new RangeError(
      `structures/lineGraph: edge ${centres[edge]} -> ${neighbours[edge]} has no reverse edge; ` +
        'a line graph needs a neighbour list that is not truncated',
    );
  }
  return { edgeToBond, bondToEdge };
}

function pairShortEdges(list: NeighbourList, angleCutoff: number): Int32Array {
  const { count, centres, distances } = list;
  const short = new Int32Array(count);
  let shortEdges = 0;
  for (let edge = 0; edge < count; edge++) if (distances[edge] < angleCutoff) short[shortEdges++] = edge;
  const centreEnd = (from: number): number => {
    let to = from + 1;
    while (to < shortEdges && centres[short[to]] === centres[short[from]]) to++;
    return to;
  };
  let angles = 0;
  for (let from = 0, to = 0; from < shortEdges; from = to) {
    to = centreEnd(from);
    angles += (to - from) * (to - from - 1);
  }
  const angleIndex = new Int32Array(2 * angles);
  let angle = 0;
  for (let from = 0, to = 0; from < shortEdges; from = to) {
    to = centreEnd(from);
    for (let first = from; first < to; first++) {
      for (let second = from; second < to; second++) {
        if (first === second) continue;
        angleIndex[angle] = short[first]!;
        angleIndex[angles + angle++] = short[second]!;
      }
    }
  }
  return angleIndex;
}
