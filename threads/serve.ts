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

/** Serves `tasks` to the pool that started this thread. Call once, at the top level of a thread entry module. */
export function serve(tasks: TaskTable): void {
  const port = parentPort;
  if (!port) throw new Error('threads: serve() must be called inside a worker thread');
  port.on('message', (call: { id: number; task: string; argument: never }) => {
    void (async () => {
      try {
        const handler = tasks[call.task];
        if (!handler) throw new Error(`threads: no task named '${call.task}'`);
        const result = await handler(call.argument);
        const transfer = typeof result === 'object' && result !== null ? (transferLists.get(result) ?? []) : [];
        port.postMessage({ id: call.id, result }, transfer);
      } catch (error) {
        const { message, name } = error instanceof Error ? error : new Error(String(error));
        port.postMessage({ id: call.id, error: { message, name } });
      }
    })();
  });
}
