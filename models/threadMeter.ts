/** Seconds of inference threads. `runSeconds / threadSeconds` is the share of their time that ONNX Runtime had. */
export interface ThreadUsage {
  /** Inside `session.run`, summed over threads. */
  runSeconds: number;
  /** Number of threads times the time during which there was work for them. */
  threadSeconds: number;
}

/** One call's part of the thread time. */
export interface ThreadShare {
  threadSeconds: number;
}

/**
 * Attributes thread time to the calls that share a pool: every moment counts as `threads` seconds a second, divided evenly
 * among the calls then active, whether the threads were busy or idle. So the parts of all calls add up to the pool's total, and
 * loading sessions, starving for batches and the tail of a call all count against the share of `session.run`.
 */
export class ThreadMeter {
  private readonly active = new Set<ThreadShare>();
  private last = 0;
  private total = 0;
  private run = 0;

  constructor(private readonly threads: number) {}

  /** A call begins. */
  enter(): ThreadShare {
    this.advance();
    const share: ThreadShare = { threadSeconds: 0 };
    this.active.add(share);
    return share;
  }

  /**
   * A call ends; leaving twice changes nothing.
   * @param runSeconds its time inside `session.run`
   * @returns its part of the thread time
   */
  leave(share: ThreadShare, runSeconds: number): number {
    this.advance();
    if (this.active.delete(share)) this.run += runSeconds;
    return share.threadSeconds;
  }

  /** Totals of all calls; run time counts when its call ends. */
  usage(): ThreadUsage {
    this.advance();
    return { runSeconds: this.run, threadSeconds: this.total };
  }

  private advance(): void {
    const now = performance.now() / 1000;
    if (this.active.size > 0) {
      const elapsed = (now - this.last) * this.threads;
      this.total += elapsed;
      for (const share of this.active) share.threadSeconds += elapsed / this.active.size;
    }
    this.last = now;
  }
}
