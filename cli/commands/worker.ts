import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { EXIT, QUEUE_ROLES, taskQueue, type QueueRole } from '../../config/names.js';
import { hostWorkers } from '../../workers/host.js';
import { installRuntime } from '../../workers/session.js';
import type { Context } from '../context.js';
import { Refusal } from '../refusal.js';

/**
 * `koine worker`: hosts workers of a cluster until it is told to stop. SIGTERM and the first Ctrl-C stop it gracefully: it takes no
 * new work and gives what runs some seconds to end; a second one leaves at once.
 */
export async function worker(context: Context, options: { queue?: QueueRole[] }): Promise<number> {
  const { console } = context;
  const settings = context.settings();
  if (settings.embedded)
    throw new Refusal('koine worker needs TEMPORAL_ADDRESS: without a cluster `koine run` hosts its own workers');
  const roles = options.queue ?? QUEUE_ROLES;
  installRuntime(settings);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const connection = await NativeConnection.connect(connectionOptions).catch((error: unknown) => {
    throw new Refusal(`Temporal cannot be reached at ${connectionOptions.address}: ${String(error)}`, EXIT.failed);
  });
  try {
    const host = await hostWorkers(settings, connection, namespace, roles, settings.queueSuffix);
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(EXIT.cancelled);
      stopping = true;
      console.say('stopping: work in flight has some seconds to end');
      // Its failure is the failure of host.run, which is awaited below.
      host.shutdown().catch(() => undefined);
    };
    process.on('SIGTERM', stop).on('SIGINT', stop);
    const queues = roles.map((role) => taskQueue(role, settings.queueSuffix)).join(', ');
    console.say(`ready: ${queues} on ${connectionOptions.address}, namespace ${namespace}`);
    try {
      await host.run;
    } finally {
      process.off('SIGTERM', stop).off('SIGINT', stop);
    }
    console.say('stopped');
    return EXIT.done;
  } finally {
    await connection.close();
  }
}
