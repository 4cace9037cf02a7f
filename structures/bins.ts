/**
 * Bins are at least cutoff / BIN_REACH wide, so a neighbour lies at most BIN_REACH bins away along each axis. 2 looks at
 * (5/2)^3 cutoff volumes where bins as wide as the cutoff look at 27.
 */
const BIN_REACH = 2;

/** More bins along an axis than this would cost memory and find nothing: cells that long are slabs of vacuum. */
const MOST_BINS = 512;

/** Atoms sorted into bins of equal fractional size, so that a search near an atom need not look at all others. */
export class Bins {
  /** [3n] bin of each atom along each axis. */
  private readonly binOf: Int32Array;
  /** [n] atoms grouped by bin. */
  private readonly members: Int32Array;
  /** [bins + 1] where each bin starts in `members`. */
  private readonly start: Int32Array;

  private constructor(
    fractional: Float64Array,
    private readonly counts: number[],
  ) {
    const n = fractional.length / 3;
    this.binOf = new Int32Array(3 * n);
    this.start = new Int32Array(counts[0] * counts[1] * counts[2] + 1);
    for (let i = 0; i < n; i++) {
      for (let axis = 0; axis < 3; axis++) {
        const f = fractional[3 * i + axis];
        this.binOf[3 * i + axis] = Math.min(counts[axis] - 1, Math.floor((f - Math.floor(f)) * counts[axis]));
      }
      this.start[this.flat(i) + 1]++;
    }
    for (let bin = 1; bin < this.start.length; bin++) this.start[bin] += this.start[bin - 1];
    const next = this.start.slice();
    this.members = new Int32Array(n);
    for (let i = 0; i < n; i++) this.members[next[this.flat(i)]++] = i;
  }

  /**
   * Bins for a cutoff, or undefined where the cell is so small that every bin would be within reach of every other.
   * @param fractional [3n] fractional coordinates
   * @param heights distances between lattice planes in Å
   * @param cutoff in Å
   */
  static forCutoff(fractional: Float64Array, heights: readonly number[], cutoff: number): Bins | undefined {
    const counts = heights.map((height) => {
      const fitting = Math.floor((BIN_REACH * height) / (cutoff * (1 + 1e-9)));
      return Math.min(MOST_BINS, Math.max(1, fitting));
    });
    // A few bins an atom suffice; with one atom in a vast cell the bins themselves would be the cost.
    const atoms = fractional.length / 3;
    while (counts[0] * counts[1] * counts[2] > 8 * atoms + 125) {
      const widest = counts.indexOf(Math.max(...counts));
      counts[widest] = Math.ceil(counts[widest] / 2);
    }
    return counts.some((count) => count > 2 * BIN_REACH + 1) ? new Bins(fractional, counts) : undefined;
  }

  /** Visits every atom j > i whose bin is within reach of atom i's bin, each once, in no particular order. */
  forEachLater(i: number, visit: (j: number) => void): void {
    const { counts, binOf, start, members } = this;
    const from = [0, 0, 0];
    const size = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      size[axis] = Math.min(counts[axis], 2 * BIN_REACH + 1);
      from[axis] = size[axis] < counts[axis] ? binOf[3 * i + axis] - BIN_REACH + counts[axis] : 0;
    }
    for (let a = 0; a < size[0]; a++) {
      const planeA = ((from[0] + a) % counts[0]) * counts[1];
      for (let b = 0; b < size[1]; b++) {
        const rowB = (planeA + ((from[1] + b) % counts[1])) * counts[2];
        for (let c = 0; c < size[2]; c++) {
          const bin = rowB + ((from[2] + c) % counts[2]);
          for (let k = start[bin]; k < start[bin + 1]; k++) if (members[k] > i) visit(members[k]);
        }
      }
    }
  }

  private flat(i: number): number {
    const { binOf, counts } = this;
    return (binOf[3 * i] * counts[1] + binOf[3 * i + 1]) * counts[2] + binOf[3 * i + 2];
  }
}
