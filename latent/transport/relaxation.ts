/** Iterations over which a rate of convergence is told, and how many before them are let pass. */
const [WINDOW, SETTLING] = [8, 2];
const LARGEST = 1.99;

/**
 * The over-relaxation of Sinkhorn's iteration that converges fastest near the solution (Thibault, Chizat, Dossal and Papadakis 2021), from the rate that is
 * seen: where plain updates shrink the error by r an iteration, those to the power 2 / (1 + sqrt(1 - r)) shrink it by that power less 1.
 * A rate seen under over-relaxation tells r by Young's relation of successive over-relaxation. Goes back to plain updates when the error grows.
 */
export class Relaxation {
  /** Power of the next updates. */
  power = 1;
  private seen = 0;
  private first = 0;

  /** Takes note of the error of an iteration. */
  note(error: number): void {
    if (error === Infinity) this.seen = 0;
    else if (this.seen++ === SETTLING) this.first = error;
    else if (this.seen > SETTLING + WINDOW) {
      this.adapt((error / this.first) ** (1 / WINDOW));
      this.seen = 0;
    }
  }

  private adapt(rate: number): void {
    const over = this.power - 1;
    if (!(rate < 1)) this.power = 1;
    else if (rate > over) {
      const plain = (rate + over) ** 2 / (rate * this.power ** 2);
      this.power = Math.min(LARGEST, 2 / (1 + Math.sqrt(1 - Math.min(plain, 1))));
    }
  }
}
