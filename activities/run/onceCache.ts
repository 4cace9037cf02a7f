/** Values by name, each made once for all who ask while it is being made, and kept until newer ones need the room. */
export class OnceCache<T> {
  private readonly values = new Map<string, Promise<T>>();
  private readonly sizes = new Map<string, number>();
  private held = 0;

  /**
   * @param room sum of sizes to keep; the value asked for last is kept whatever its size
   * @param sizeOf size of a value
   */
  constructor(
    private readonly room: number,
    private readonly sizeOf: (value: T) => number,
  ) {}

  /**
   * The value of that name, made by `make` where there is none. A failure is that of whoever made it: others make it again, unless their own
   * signal is aborted.
   */
  async get(name: string, make: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let known = this.values.get(name); known; known = this.values.get(name)) {
      try {
        const value = await known;
        this.use(name, known, value);
        return value;
      } catch {
        if (this.values.get(name) === known) this.values.delete(name);
        signal.throwIfAborted();
      }
    }
    const made = make();
    this.values.set(name, made);
    try {
      const value = await made;
      this.use(name, made, value);
      return value;
    } catch (error) {
      if (this.values.get(name) === made) this.values.delete(name);
      throw error;
    }
  }

  /** Puts a finished value last in the order of use and drops the first ones beyond the room. */
  private use(name: string, promise: Promise<T>, value: T): void {
    this.forget(name);
    this.values.set(name, promise);
    this.sizes.set(name, this.sizeOf(value));
    this.held += this.sizeOf(value);
    for (const other of this.sizes.keys()) {
      if (this.held <= this.room || other === name) break;
      this.forget(other);
    }
  }

  private forget(name: string): void {
    this.held -= this.sizes.get(name) ?? 0;
    this.sizes.delete(name);
    this.values.delete(name);
  }
}
