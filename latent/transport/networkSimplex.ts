/**
 * Primal network simplex for the transportation problem on an explicit list of arcs, which may grow between calls.
 *
 * Nodes are the n sources (0..n-1) and the m sinks (n..n+m-1); arcs run from a source to a sink and have no capacity, so an arc
 * outside the spanning tree carries no flow. Masses are integers held in float64: flows are then exact, and a degenerate pivot is
 * recognised as one. The tree is kept strongly feasible (every arc that points away from the root carries flow; Cunningham 1976), which
 * rules out cycling on the massively degenerate problems that uniform masses make. Entering arcs are chosen by block search
 * (Kelly and O'Neill 1991; LEMON's study by Kiraly and Kovacs 2012), ties by position in the list.
 */

/** A feasible plan whose arcs form a forest: `length` entries of the arrays count. Sinks are numbered from 0. */
export interface InitialPlan {
  length: number;
  source: Int32Array;
  sink: Int32Array;
  mass: Float64Array;
}

/** Spanning tree, flows and potentials of a transportation problem; see the head of this file. */
export class NetworkSimplex {
  /** Sources. */
  readonly n: number;
  /** Sinks. */
  readonly m: number;
  /** Pivots made so far. */
  pivots = 0;
  /** Arcs in the list. */
  arcs = 0;

  private arcSource: Int32Array;
  private arcSink: Int32Array; // node number: n + sink
  private arcCost: Float64Array;
  private nextArc = 0; // where block search goes on
  private readonly root: number;

  // Per node. The tree is held as child lists, so that a subtree is walked without touching anything outside it.
  private readonly parent: Int32Array;
  private readonly parentArc: Int32Array;
  private readonly flow: Float64Array; // on the arc to the parent
  private readonly depth: Int32Array;
  private readonly firstChild: Int32Array;
  private readonly nextSibling: Int32Array;
  private readonly previousSibling: Int32Array;
  /** Node potentials pi: the reduced cost of s -> t is cost + pi[s] - pi[t]. All nodes of a subtree then shift by the same amount. */
  private readonly potential: Float64Array;

  /**
   * Starts from a feasible plan whose arcs form a forest (a greedy plan does: each step exhausts a row or a column). The components are
   * joined by arcs without flow from one source of each to one sink of the first, which makes a strongly feasible tree.
   * @param supply integer masses > 0 [n]; `demand` [m] has the same total
   * @param plan arcs that carry `mass` > 0, at most n + m - 1 of them and without a cycle
   * @param costOf cost of the arc from a source to a sink
   * @param capacity expected number of arcs
   */
  constructor(
    supply: Float64Array,
    demand: Float64Array,
    plan: InitialPlan,
    costOf: (source: number, sink: number) => number,
    capacity = 1024,
  ) {
    const n = (this.n = supply.length);
    const m = (this.m = demand.length);
    const nodes = n + m;
    this.arcSource = new Int32Array(capacity);
    this.arcSink = new Int32Array(capacity);
    this.arcCost = new Float64Array(capacity);
    this.parent = new Int32Array(nodes).fill(-1);
    this.parentArc = new Int32Array(nodes).fill(-1);
    this.flow = new Float64Array(nodes);
    this.depth = new Int32Array(nodes);
    this.firstChild = new Int32Array(nodes).fill(-1);
    this.nextSibling = new Int32Array(nodes).fill(-1);
    this.previousSibling = new Int32Array(nodes).fill(-1);
    this.potential = new Float64Array(nodes);

    // The forest as adjacency lists: two half-edges an arc.
    const head = new Int32Array(nodes).fill(-1);
    const next = new Int32Array(2 * plan.length);
    for (let a = 0; a < plan.length; a++) {
      const [s, t] = [plan.source[a], n + plan.sink[a]];
      this.addArc(plan.source[a], plan.sink[a], costOf(plan.source[a], plan.sink[a]));
      next[2 * a] = head[s];
      head[s] = 2 * a;
      next[2 * a + 1] = head[t];
      head[t] = 2 * a + 1;
    }
    this.root = 0;
    const seen = new Uint8Array(nodes);
    const stack = new Int32Array(nodes);
    let anchorSink = -1; // where the other components hang
    let reached = 0;
    for (let start = 0; start < n; start++) {
      if (seen[start]) continue;
      seen[start] = 1;
      if (start !== this.root) {
        const arc = this.addArc(start, anchorSink - n, costOf(start, anchorSink - n));
        this.attach(start, anchorSink, arc, 0);
      }
      let top = 0;
      stack[top++] = start;
      while (top > 0) {
        const node = stack[--top];
        reached++;
        for (let half = head[node]; half !== -1; half = next[half]) {
          const arc = half >> 1;
          const other = node < n ? this.arcSink[arc] : this.arcSource[arc];
          if (seen[other]) continue;
          if (anchorSink === -1) anchorSink = other;
          seen[other] = 1;
          this.attach(other, node, arc, plan.mass[arc]);
          stack[top++] = other;
        }
      }
    }
    if (reached !== nodes)
      throw new RangeError(
        `latent/transport: the initial plan reaches ${reached} of ${nodes} nodes; every sink needs an arc with mass`,
      );
    this.refreshPotentials();
  }

  /** Adds an arc to the list and returns its position. */
  addArc(source: number, sink: number, cost: number): number {
    if (this.arcs === this.arcCost.length) {
      const size = 2 * this.arcs;
      this.arcSource = grown(this.arcSource, new Int32Array(size));
      this.arcSink = grown(this.arcSink, new Int32Array(size));
      this.arcCost = grown(this.arcCost, new Float64Array(size));
    }
    this.arcSource[this.arcs] = source;
    this.arcSink[this.arcs] = this.n + sink;
    this.arcCost[this.arcs] = cost;
    return this.arcs++;
  }

  /**
   * Pivots until no arc of the list has a reduced cost below -tolerance.
   * @returns the pivots made
   */
  solve(tolerance: number): number {
    const before = this.pivots;
    for (let round = 0; ; round++) {
      const made = this.pivots;
      for (;;) {
        const entering = this.findEntering(tolerance);
        if (entering < 0) break;
        this.pivot(entering);
      }
      // Potentials gather rounding over many pivots: compute them afresh and look once more.
      if (this.pivots === made && round > 0) break;
      this.refreshPotentials();
      if (this.pivots === made) break;
    }
    return this.pivots - before;
  }

  /** Dual potentials (f [n], g [m]) of the present tree: f_i + g_j = cost on tree arcs. */
  duals(): { f: Float64Array; g: Float64Array } {
    const f = new Float64Array(this.n);
    for (let i = 0; i < this.n; i++) f[i] = -this.potential[i];
    return { f, g: this.potential.slice(this.n) };
  }

  /** The arcs that carry flow, in order of source, then sink. */
  plan(): { source: Int32Array; sink: Int32Array; mass: Float64Array } {
    const { n } = this;
    const carrying: number[] = [];
    for (let node = 0; node < this.flow.length; node++) if (this.flow[node] > 0) carrying.push(node);
    const sourceOf = (node: number) => (node < n ? node : this.parent[node]);
    const sinkOf = (node: number) => (node < n ? this.parent[node] : node) - n;
    carrying.sort((a, b) => sourceOf(a) - sourceOf(b) || sinkOf(a) - sinkOf(b));
    return {
      source: Int32Array.from(carrying, sourceOf),
      sink: Int32Array.from(carrying, sinkOf),
      mass: Float64Array.from(carrying, (node) => this.flow[node]),
    };
  }

  /** The arc with the most negative reduced cost in the first block that has one below -tolerance; -1 when the list has none. */
  private findEntering(tolerance: number): number {
    const { arcSource, arcSink, arcCost, potential, arcs } = this;
    const block = Math.max(32, Math.ceil(Math.sqrt(arcs)));
    let arc = this.nextArc < arcs ? this.nextArc : 0;
    let best = -1;
    let lowest = -tolerance;
    let left = block;
    for (let count = arcs; count > 0; count--) {
      const reduced = arcCost[arc] + potential[arcSource[arc]] - potential[arcSink[arc]];
      if (reduced < lowest) {
        lowest = reduced;
        best = arc;
      }
      if (++arc === arcs) arc = 0;
      if (--left === 0) {
        if (best >= 0) break;
        left = block;
      }
    }
    this.nextArc = arc;
    return best;
  }

  /** Sends as much flow as possible round the cycle that `entering` closes, and exchanges it with the arc that blocks. */
  private pivot(entering: number): void {
    const { parent, depth, flow, n } = this;
    const s = this.arcSource[entering];
    const t = this.arcSink[entering];
    // The cycle runs join -> s -> t -> join. Flow falls on arcs run against: source-to-parent on the way down, parent-to-sink on the way up.
    // Of several blocking arcs the last one on the cycle leaves: nearest to s on its side (<), farthest from t on its own (<=).
    let left = s;
    let right = t;
    let delta = Infinity;
    let leaving = -1;
    let onSourceSide = true;
    let rightDelta = Infinity;
    let rightLeaving = -1;
    while (left !== right) {
      if (depth[left] >= depth[right]) {
        if (left < n && flow[left] < delta) {
          delta = flow[left];
          leaving = left;
        }
        left = parent[left];
      } else {
        if (right >= n && flow[right] <= rightDelta) {
          rightDelta = flow[right];
          rightLeaving = right;
        }
        right = parent[right];
      }
    }
    if (rightDelta <= delta) {
      delta = rightDelta;
      leaving = rightLeaving;
      onSourceSide = false;
    }
    const join = left;
    if (delta > 0) {
      for (let node = s; node !== join; node = parent[node]) flow[node] += node < n ? -delta : delta;
      for (let node = t; node !== join; node = parent[node]) flow[node] += node < n ? delta : -delta;
    }
    const inside = onSourceSide ? s : t;
    const outside = onSourceSide ? t : s;
    const reduced = this.arcCost[entering] + this.potential[s] - this.potential[t];
    this.reroot(inside, leaving, outside, entering, delta);
    this.shift(inside, onSourceSide ? -reduced : reduced);
    this.pivots++;
  }

  /** Hangs the subtree cut off above `top` by its node `inside` from `outside`: the path between turns round. */
  private reroot(inside: number, top: number, outside: number, arc: number, flow: number): void {
    const { parent, parentArc } = this;
    let node = inside;
    let newParent = outside;
    let newArc = arc;
    let newFlow = flow;
    for (;;) {
      const above = parent[node];
      const oldArc = parentArc[node];
      const oldFlow = this.flow[node];
      this.detach(node);
      this.attach(node, newParent, newArc, newFlow);
      if (node === top) return;
      newParent = node;
      newArc = oldArc;
      newFlow = oldFlow;
      node = above;
    }
  }

  /** Adds `amount` to the potentials of the subtree under `top` and sets its depths. */
  private shift(top: number, amount: number): void {
    const { parent, depth, potential, firstChild, nextSibling } = this;
    let node = top;
    for (;;) {
      depth[node] = depth[parent[node]] + 1;
      potential[node] += amount;
      if (firstChild[node] !== -1) {
        node = firstChild[node];
        continue;
      }
      while (nextSibling[node] === -1) {
        if (node === top) return;
        node = parent[node];
      }
      if (node === top) return;
      node = nextSibling[node];
    }
  }

  /** Computes all potentials and depths from the tree; the root's potential is 0. */
  private refreshPotentials(): void {
    const { n, parent, parentArc, depth, potential, firstChild, nextSibling, arcCost, root } = this;
    potential[root] = 0;
    depth[root] = 0;
    let node = root;
    for (;;) {
      if (firstChild[node] !== -1) node = firstChild[node];
      else {
        while (node !== root && nextSibling[node] === -1) node = parent[node];
        if (node === root) return;
        node = nextSibling[node];
      }
      const above = parent[node];
      depth[node] = depth[above] + 1;
      potential[node] =
        node < n ? potential[above] - arcCost[parentArc[node]] : potential[above] + arcCost[parentArc[node]];
    }
  }

  private attach(node: number, parent: number, arc: number, flow: number): void {
    this.parent[node] = parent;
    this.parentArc[node] = arc;
    this.flow[node] = flow;
    const sibling = this.firstChild[parent];
    this.nextSibling[node] = sibling;
    this.previousSibling[node] = -1;
    if (sibling !== -1) this.previousSibling[sibling] = node;
    this.firstChild[parent] = node;
  }

  private detach(node: number): void {
    const next = this.nextSibling[node];
    const previous = this.previousSibling[node];
    if (next !== -1) this.previousSibling[next] = previous;
    if (previous !== -1) this.nextSibling[previous] = next;
    else this.firstChild[this.parent[node]] = next;
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
