import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { emptyTally, type Tally } from '../../config/tally.js';
import type { fanOut, FanOutState } from '../../workflows/fanOut.js';
import { uniqueName } from '../support/temporalServer.js';

/** A fan-out that ended. */
export interface EndedFanOut {
  workflowId: string;
  tally: Tally;
}

/**
 * Runs the real fan-out over `items` items whose ranges are done at once (`instantRanges.ts`), on a real server.
 * @param meanwhile what is done to it once it has started
 */
export async function fanOutOver(
  address: string,
  items: number,
  meanwhile: (handle: WorkflowHandle<typeof fanOut>) => Promise<void> = () => Promise.resolve(),
): Promise<EndedFanOut> {
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('instantRanges.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  });
  const [taskQueue, workflowId] = [uniqueName('fan-out'), uniqueName('fan-out')];
  const state: FanOutState = {
    input: { stage: 'embed', run: { output: 'file:///nowhere', plan: 'plans/none.json' }, model: 'none' },
    queueSuffix: '',
    items,
    nextRange: 0,
    tally: emptyTally(),
    paused: false,
    window: 10,
    revision: 0,
  };
  const native = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  try {
    const worker = await Worker.create({ connection: native, taskQueue, workflowBundle });
    const tally = await worker.runUntil(async () => {
      const { workflow } = new Client({ connection });
      const handle = await workflow.start<typeof fanOut>('fanOut', { taskQueue, workflowId, args: [state] });
      await meanwhile(handle);
      return handle.result();
    });
    return { workflowId, tally };
  } finally {
    await connection.close();
    await native.close();
  }
}
