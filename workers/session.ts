import { createHash } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { QUEUE_ROLES, SEARCH_ATTRIBUTES } from '../config/names.js';
import type { Settings } from '../config/settings.js';
import { startDevServer } from '../infra/devServer.js';
import type { Host } from './host.js';

/** A connection to the engine, with workers in this process where it is embedded. */
export interface Session {
  client: Client;
  namespace: string;
  address: string;
  /** The Temporal web UI, where koine started the server itself. */
  uiUrl: string | null;
  queueSuffix: string;
  /** Rejects if a worker of this process fails; never settles otherwise. */
  failed: Promise<never>;
  close(): Promise<void>;
}

/** Options of {@link openSession}. */
export interface SessionOptions {
  /** Where the data go; embedded runs of one output share their task queues, so that a restart goes on with the work. */
  output: string;
  onProgress(line: string): void;
  /** Host control, inference and compute workers here (embedded mode only). */
  workers: boolean;
}

/** Said of every worker that serves one role only, and of runs whose end is told in koine's own words. */
const EXPECTED = /^No (activities|workflows) registered|^Workflow (failed|completed)/;

/** Sets logging and metrics of the SDK for this process; call once, before any connection. */
export function installRuntime(settings: Settings): void {
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message }) => {
      if (!EXPECTED.test(message)) console.error(`temporal ${level.toLowerCase()}: ${message}`);
    }),
    shutdownSignals: [], // the command line decides what a signal means
    telemetryOptions: {
      logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } },
      ...(settings.metricsAddress ? { metrics: { prometheus: { bindAddress: settings.metricsAddress } } } : {}),
    },
  });
}

/** Connects to the configured cluster, or starts (or joins) the embedded server. */
export async function openSession(settings: Settings, options: SessionOptions): Promise<Session> {
  if (!settings.embedded) {
    const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
    const connection = await Connection.connect(connectionOptions);
    return {
      client: new Client({ connection, namespace }),
      namespace,
      address: connectionOptions.address ?? 'localhost:7233',
      uiUrl: null,
      queueSuffix: settings.queueSuffix,
      failed: never(),
      close: () => connection.close(),
    };
  }
  const server = await startDevServer({
    stateDir: settings.stateDir,
    searchAttributes: SEARCH_ATTRIBUTES,
    onProgress: (line) => options.onProgress(line),
  });
  const closers: (() => Promise<void>)[] = [() => server.release()];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const { address, namespace, uiUrl } = server;
    const connection = await Connection.connect({ address });
    closers.push(() => connection.close());
    const queueSuffix = createHash('sha256').update(options.output).digest('hex').slice(0, 8);
    let host: Host | undefined;
    if (options.workers) {
      const native = await NativeConnection.connect({ address });
      closers.push(() => native.close());
      const { hostWorkers } = await import('./host.js'); // loads ONNX Runtime and more: not for a mere client
      host = await hostWorkers(settings, native, namespace, QUEUE_ROLES, queueSuffix);
      const { shutdown } = host;
      closers.push(() => shutdown());
    }
    return {
      client: new Client({ connection, namespace }),
      namespace,
      address,
      uiUrl,
      queueSuffix,
      failed: host ? host.run.then(never) : never(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}
