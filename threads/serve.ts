import { parentPort, type TransferListItem } from 'node:worker_threads';
import type { TaskTable } from './pool.js';

const transferLists = new WeakMap<object, TransferListItem[]>();

/**
 * Marks buffers of a handler's result for transfer instead of copying.
 * @returns `result`, for `return withTransfer({ embedding }, [embedding.buffer])`
 */
export function withTransfer<T extends object>(result: T, transfer: TransferListItem[]): T {
  transferLists.set(result, transfer);
  return result;
}

/**
 * Asks the side that called a task, which holds stores and connections, and waits for its answer: bytes of a file, or that a piece of the result
 * was taken. A task that tells piece by piece holds no more than one.
 * @throws Error with the name and message of what the answer failed with
 */
export type Ask<Question = unknown, Answer = unknown> = (
  question: Question,
  transfer?: TransferListItem[],
) => Promise<Answer>;

/** Serves `tasks` to the pool that started this thread. Call once, at the top level of a thread entry module. */
export function serve(tasks: TaskTable): void {
  const port = parentPort;
  if (!port) throw new Error('threads: serve() must be called inside a worker thread');
  const waiting = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  let asked = 0;
  const run = async (call: Call) => {
    const ask: Ask = (question, transfer = []) =>
      new Promise((resolve, reject) => {
        waiting.set(asked, { resolve, reject });
        port.postMessage({ id: call.id, ask: asked++, question }, transfer);
      });
    try {
      const handler = tasks[call.task];
      if (!handler) throw new Error(`threads: no task named '${call.task}'`);
      const result = await handler(call.argument, ask as never);
      const transfer = typeof result === 'object' && result !== null ? (transferLists.get(result) ?? []) : [];
      port.postMessage({ id: call.id, result }, transfer);
    } catch (error) {
      const { message, name } = error instanceof Error ? error : new Error(String(error));
      port.postMessage({ id: call.id, error: { message, name } });
    }
  };
  port.on('message', (message: Call | Answer) => {
    if (!('ask' in message)) {
      void run(message);
      return;
    }
    const { resolve, reject } = waiting.get(message.ask)!;
    waiting.delete(message.ask);
    if (message.error) reject(Object.assign(new Error(message.error.message), { name: message.error.name }));
    else resolve(message.answer);
  });
}

interface Call {
  id: number;
  task: string;
  argument: never;
}

interface Answer {
  ask: number;
  answer?: unknown;
  error?: { message: string; name: string };
}
