import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { NativeConnection } from '@temporalio/worker';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index.js';
import { INFERENCE_STAGES, taskQueue, type QueueRole } from '../config/names.js';
import type { Settings } from '../config/settings.js';
import { compiledEntry } from '../threads/pool.js';
import { activityDependencies } from './dependencies.js';

/** Workers of one process. */
export interface Host {
  /** Settles when all workers have stopped; rejects if one fails. */
  run: Promise<void>;
  /** Asks for a graceful stop: activities in flight get {@link GRACE} to end. */
  shutdown: () => Promise<void>;
}

/** A micro-batch takes at most seconds; activities resume from their parts anyway. */
const GRACE = '10 seconds';
const FORCE = '20 seconds';
/** How often an activity tells that it lives, see `workflows/policies.ts`. */
const HEARTBEAT = '2 seconds';
/** A killed worker's workflows go on elsewhere once it has not asked for their next task for so long. */
const STICKY = '5 seconds';
/** Workflow states are small; this many ranges and runs stay warm. */
const CACHED_WORKFLOWS = 200;

/**
 * Hosts workers for the given roles on one connection.
 * Workflow code comes from the bundle that `npm run build` made; its digest is the build id when versioning is on.
 */
export async function hostWorkers(
  settings: Settings,
  connection: NativeConnection,
  namespace: string,
  roles: readonly QueueRole[],
  queueSuffix: string,
): Promise<Host> {
  const dependencies = activityDependencies(settings);
  const activities = createActivities(dependencies);
  const bundle = fileURLToPath(compiledEntry('../workflows/bundle.js', import.meta.url));
  const common = (role: QueueRole): WorkerOptions => ({
    connection,
    namespace,
    taskQueue: taskQueue(role, queueSuffix),
    identity: `${hostname()}/${process.pid}/${role}`,
    maxHeartbeatThrottleInterval: HEARTBEAT,
    defaultHeartbeatThrottleInterval: HEARTBEAT,
    shutdownGraceTime: GRACE,
    shutdownForceTime: FORCE,
    ...(settings.deployment
      ? {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: {
              deploymentName: settings.deployment.name,
              buildId:
                settings.deployment.buildId ??
                readFileSync(bundle.replace(/\.js$/, '.sha256'), 'utf8').trim().slice(0, 16),
            },
            // Here and not in the workflows: a worker without versioning may not name a behaviour at all.
            defaultVersioningBehavior: 'PINNED' as const,
          },
        }
      : {}),
  });
  const options: Record<QueueRole, () => WorkerOptions> = {
    control: () => ({
      ...common('control'),
      workflowBundle: { codePath: bundle },
      enableNonLocalActivities: false,
      maxCachedWorkflows: CACHED_WORKFLOWS,
      stickyQueueScheduleToStartTimeout: STICKY,
    }),
    inference: () => ({
      ...common('inference'),
      activities: Object.fromEntries(INFERENCE_STAGES.map((stage) => [stage, activities[stage]])),
      // One more than there are threads: while one shard is read or written, the threads work on the others.
      maxConcurrentActivityTaskExecutions: settings.threads + 1,
      maxConcurrentActivityTaskPolls: 2,
    }),
    compute: () => ({
      ...common('compute'),
      activities,
      maxConcurrentActivityTaskExecutions: settings.threads + 2,
      maxConcurrentActivityTaskPolls: 2,
    }),
  };
  const workers = await Promise.all(roles.map((role) => Worker.create(options[role]())));
  const run = Promise.all(workers.map((worker) => worker.run())).then(
    () => dependencies.close(),
    async (error: unknown) => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await dependencies.close();
      throw error;
    },
  );
  return {
    run,
    async shutdown() {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await run;
    },
  };
}
