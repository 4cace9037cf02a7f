import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker, type TransferListItem } from 'node:worker_threads';

/** A thread died (native crash, out of memory, `process.exit`); only the call it was serving fails. */
export class ThreadCrashed extends Error {
  override readonly name = 'ThreadCrashed';
}

/** A handler threw inside a thread: its message, and its class by name. */
export class ThreadTaskFailed extends Error {
  override readonly name = 'ThreadTaskFailed';
  constructor(
    message: string,
    readonly errorName: string,
  ) {
    super(message);
  }
}

/** Functions served by a thread entry (see `serve.ts`): one structured-clonable argument, one result. */
export type TaskTable = Record<string, (argument: never, ask: never) => unknown>;

/** Options of one call into a pool. */
export interface CallOptions {
  transfer?: TransferListItem[];
  /** Aborting a queued call removes it; aborting a running one terminates its thread, which is replaced. */
  signal?: AbortSignal;
  /** Answers what the task asks while it runs (see `Ask` of serve.ts); what it throws is thrown in the task. */
  answer?: (question: never) => unknown;
}

/** What a thread posts: the outcome of a call, or a question that has to be answered before it goes on. */
type Message = Reply | { id: number; ask: number; question: unknown };

interface Job {
  id: number;
  task: string;
  argument: unknown;
  transfer: TransferListItem[];
  resolve: (value: unknown) => void;
  reject: (reason: Error) => void;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
  answer: ((question: never) => unknown) | undefined;
}

interface Reply {
  id: number;
  result?: unknown;
  error?: { message: string; name: string };
}

/**
 * URL of the compiled JavaScript of a module beside `importMetaUrl`. Node 20 cannot start a thread from TypeScript, so when
 * the caller itself runs from source (under the test runner) the entry is the one that `npm run build` left in `dist/`.
 * @param relative e.g. `./inferenceThread.js`
 * @param importMetaUrl the caller's `import.meta.url`
 */
export function compiledEntry(relative: string, importMetaUrl: string): URL {
  const beside = new URL(relative, importMetaUrl);
  if (existsSync(beside)) return beside;
  if (importMetaUrl.endsWith('.js')) throw missing(beside);
  const root = fileURLToPath(new URL('..', import.meta.url));
  const compiled = new URL(`file://${root}dist/${fileURLToPath(beside).slice(root.length)}`);
  if (!existsSync(compiled)) throw missing(compiled);
  return compiled;
}

function missing(entry: URL): Error {
  return new Error(`threads: ${fileURLToPath(entry)} is missing; run \`npm run build\` first`);
}

/**
 * A fixed number of threads that all run the same entry module, each serving one call at a time; further calls queue in
 * order. Threads start on first use. Parallelism lives here and nowhere else: ONNX Runtime sessions use one thread each.
 */
export class ThreadPool<Tasks extends TaskTable> {
  private readonly queue: Job[] = [];
  private readonly idle: Worker[] = [];
  private readonly running = new Map<Worker, Job>();
  private started = 0;
  private nextId = 0;
  private closed = false;

  constructor(
    private readonly entry: URL,
    readonly size: number,
    private readonly workerData: unknown = undefined,
  ) {
    if (!Number.isInteger(size) || size < 1)
      throw new RangeError(`threads: pool size ${size} must be a positive integer`);
  }

  /** Calls queued and running. */
  get load(): number {
    return this.queue.length + this.running.size;
  }

  /** Runs `task(argument)` on the next free thread. */
  call<Name extends keyof Tasks & string>(
    task: Name,
    argument: Parameters<Tasks[Name]>[0],
    options: CallOptions = {},
  ): Promise<Awaited<ReturnType<Tasks[Name]>>> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error('threads: the pool is closed'));
      const { signal } = options;
      if (signal?.aborted) return reject(abortReason(signal));
      const job: Job = {
        id: this.nextId++,
        task,
        argument,
        transfer: options.transfer ?? [],
        resolve: resolve as (value: unknown) => void,
        reject,
        signal,
        onAbort: undefined,
        answer: options.answer,
      };
      if (signal) {
        job.onAbort = () => this.abort(job);
        signal.addEventListener('abort', job.onAbort, { once: true });
      }
      this.queue.push(job);
      this.dispatch();
    });
  }

  /** Ends all threads; queued and running calls are rejected. */
  async close(): Promise<void> {
    this.closed = true;
    for (const job of this.queue.splice(0))
      this.settle(job, () => job.reject(new Error('threads: the pool was closed')));
    const workers = [...this.idle.splice(0), ...this.running.keys()];
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  private dispatch(): void {
    while (this.queue.length > 0) {
      const worker = this.idle.pop() ?? (this.started < this.size ? this.start() : undefined);
      if (!worker) return;
      const job = this.queue.shift() as Job;
      this.running.set(worker, job);
      worker.ref();
      try {
        worker.postMessage({ id: job.id, task: job.task, argument: job.argument }, job.transfer);
      } catch (error) {
        this.running.delete(worker);
        this.release(worker);
        this.settle(job, () => job.reject(error as Error)); // e.g. DataCloneError: the caller's argument, not the thread
      }
    }
  }

  private start(): Worker {
    const worker = new Worker(this.entry, { workerData: this.workerData, execArgv: [] });
    this.started++;
    worker.on('message', (message: Message) => {
      const job = this.running.get(worker);
      // The thread of an aborted call is ending, also where its answer was under way: it must get no other call.
      if (job?.id !== message.id || job.signal?.aborted) return;
      if ('ask' in message) {
        void this.reply(worker, job, message.ask, message.question);
        return;
      }
      const reply = message;
      this.running.delete(worker);
      this.release(worker);
      const { error } = reply;
      this.settle(job, () =>
        error ? job.reject(new ThreadTaskFailed(error.message, error.name)) : job.resolve(reply.result),
      );
      this.dispatch();
    });
    let fault: Error | undefined;
    worker.on('error', (error) => (fault = error));
    worker.on('exit', (code) => {
      this.started--;
      const at = this.idle.indexOf(worker);
      if (at >= 0) this.idle.splice(at, 1);
      const job = this.running.get(worker);
      this.running.delete(worker);
      if (job) this.settle(job, () => job.reject(this.whyEnded(job, code, fault)));
      if (!this.closed) this.dispatch();
    });
    return worker;
  }

  private async reply(worker: Worker, job: Job, ask: number, question: unknown): Promise<void> {
    try {
      if (!job.answer) throw new Error(`threads: nobody answers what '${job.task}' asks`);
      const answer: unknown = await job.answer(question as never);
      // A view of part of a larger buffer is copied, a buffer of its own is handed over.
      const own = answer instanceof Uint8Array && answer.byteLength === answer.buffer.byteLength ? [answer.buffer] : [];
      worker.postMessage({ ask, answer }, own as TransferListItem[]);
    } catch (error) {
      const { message, name } = error instanceof Error ? error : new Error(String(error));
      worker.postMessage({ ask, error: { message, name } });
    }
  }

  private whyEnded({ task, signal }: Job, code: number, fault: Error | undefined): Error {
    if (signal?.aborted) return abortReason(signal);
    if (this.closed) return new Error('threads: the pool was closed');
    const why = fault ? `: ${fault.message}` : '';
    return new ThreadCrashed(`threads: the thread running '${task}' exited with code ${code}${why}`);
  }

  private release(worker: Worker): void {
    worker.unref(); // an idle pool never keeps a process alive
    this.idle.push(worker);
  }

  private abort(job: Job): void {
    const at = this.queue.indexOf(job);
    if (at >= 0) {
      this.queue.splice(at, 1);
      this.settle(job, () => job.reject(abortReason(job.signal)));
      return;
    }
    for (const [worker, current] of this.running) if (current === job) void worker.terminate();
  }

  private settle(job: Job, deliver: () => void): void {
    if (job.signal && job.onAbort) job.signal.removeEventListener('abort', job.onAbort);
    deliver();
  }
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new DOMException('This operation was aborted', 'AbortError');
}
