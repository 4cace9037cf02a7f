/** One statement about a dataset. */
export interface Check {
  name: string;
  ok: boolean;
  /** What was looked at, or what is wrong and where (the first cases and how many more). */
  detail: string;
}

/** Collects failures under the names of checks. */
export class CheckList {
  private readonly entries = new Map<string, { looked: number; failures: string[] }>();

  /** Counts one thing looked at; `failure` says what is wrong with it, undefined that it is sound. */
  add(name: string, failure?: string): void {
    const entry = this.entries.get(name) ?? { looked: 0, failures: [] };
    entry.looked++;
    if (failure !== undefined) entry.failures.push(failure);
    this.entries.set(name, entry);
  }

  /** The checks in the order of their first use. */
  get checks(): Check[] {
    return [...this.entries].map(([name, { looked, failures }]) => {
      const shown = failures.slice(0, 5).join('; ');
      const more = failures.length > 5 ? `; and ${failures.length - 5} more` : '';
      return { name, ok: failures.length === 0, detail: failures.length > 0 ? shown + more : String(looked) };
    });
  }
}
