import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { withLock } from '../locks/lock.js';
import { liveLeases, takeLease } from './lease.js';
import { isAlive, processIdentity, type ProcessIdentity } from '../locks/processIdentity.js';
import type { OnProgress } from './provision.js';
import { registerSearchAttributes, type SearchAttributes } from './searchAttributes.js';
import { ensureTemporal } from './toolchain.js';

/** Options of {@link startDevServer}. */
export interface DevServerOptions {
  /** Folder of the database, ports, log and leases; one server a folder. */
  stateDir: string;
  /** Custom search attributes that must exist, name to type. */
  searchAttributes?: SearchAttributes;
  /** Gets a line when something takes a while. */
  onProgress?: OnProgress;
}

/** A running development server and this caller's hold on it; it is started again when it dies while it is held. */
export interface DevServer {
  /** gRPC address, `127.0.0.1:port`. */
  address: string;
  /** Address of the web UI. */
  uiUrl: string;
  namespace: string;
  /** Whether this call started the server; else it was there. */
  owned: boolean;
  /** Gives up the hold; the last one stops the server. Harmless when called again. */
  release(): Promise<void>;
}

/** `server.json`: kept when the server stops, so that its ports, and with them the links into its UI, stay the same. */
export interface ServerRecord {
  process: ProcessIdentity;
  port: number;
  uiPort: number;
  /** ISO 8601. */
  startedAt: string;
}

const NAMESPACE = 'default';
const IP = '127.0.0.1';
/** A loaded two-core machine needed 6 s; a database of many thousand runs needs longer. */
const START_SECONDS = 90;
/** The server answers SIGTERM within a second or two; then it has lost nothing by SIGKILL, its database is transactional. */
const STOP_SECONDS = 15;
/** How soon it is seen that the server's process has ended. */
const GUARD_MILLISECONDS = 500;
/** Starts on ports that turn out to be taken. */
const PORT_ATTEMPTS = 5;
const LOG_BYTES = 16 * 1024 * 1024;

/**
 * Starts the embedded Temporal development server of a state folder, or joins the one that runs. Users are counted by lease
 * files, so that several processes share a server and the last to leave stops it; a killed process counts no more, and a
 * server that it left behind is joined by the next. The server runs in a session of its own, out of reach of Ctrl-C.
 * @throws Error with the end of the server's log when it does not come up
 */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { stateDir, searchAttributes = {}, onProgress = () => undefined } = options;
  mkdirSync(stateDir, { recursive: true });
  const binary = await ensureTemporal(onProgress);
  return locked(stateDir, onProgress, async () => {
    const lease = takeLease(leaseFolder(stateDir));
    try {
      const running = await findHealthy(stateDir, onProgress);
      const record = running ?? (await launch(binary, stateDir, onProgress));
      await registerSearchAttributes(addressOf(record), NAMESPACE, searchAttributes);
      const unguard = guard(binary, stateDir, onProgress);
      return {
        address: addressOf(record),
        uiUrl: `http://${IP}:${record.uiPort}`,
        namespace: NAMESPACE,
        owned: running === null,
        release: () => {
          unguard();
          return release(stateDir, lease);
        },
      };
    } catch (error) {
      rmSync(lease, { force: true });
      throw error;
    }
  });
}

/**
 * Starts the server again, on its ports and its database, whenever its process ends: clients and workers of the folder go on where they were.
 * @returns ends the watch
 */
function guard(binary: string, stateDir: string, onProgress: OnProgress): () => void {
  let restarting = false;
  const restart = async () => {
    const dead = findDevServer(stateDir);
    if (restarting || !dead || dead.alive) return;
    restarting = true;
    onProgress(`the Temporal development server (process ${dead.process.pid}) has ended; starting it again`);
    try {
      await locked(stateDir, onProgress, async () => {
        if (!watching || findDevServer(stateDir)?.alive) return; // another holder was faster
        const { port } = await launch(binary, stateDir, onProgress);
        if (port !== dead.port)
          onProgress(`it is at ${IP}:${port} now, since port ${dead.port} was taken; start koine again`);
      });
    } catch (error) {
      onProgress(`the Temporal development server cannot be started again: ${(error as Error).message}`);
    } finally {
      restarting = false;
    }
  };
  let watching = true;
  const timer = setInterval(() => void restart(), GUARD_MILLISECONDS);
  timer.unref();
  return () => {
    watching = false;
    clearInterval(timer);
  };
}

/**
 * A hold on whatever server the folder has or will have, without starting one: it keeps the server alive between users.
 * @returns the function that gives it up (and stops the server if nobody else holds it)
 */
export async function holdDevServer(stateDir: string): Promise<() => Promise<void>> {
  mkdirSync(stateDir, { recursive: true });
  const lease = await locked(
    stateDir,
    () => undefined,
    () => takeLease(leaseFolder(stateDir)),
  );
  return () => release(stateDir, lease);
}

/** Whether any living process holds the folder's server. */
export function isDevServerHeld(stateDir: string): Promise<boolean> {
  return locked(
    stateDir,
    () => undefined,
    () => liveLeases(leaseFolder(stateDir)) > 0,
  );
}

/** The server of a state folder as recorded, and whether its process lives; null when there never was one. Starts nothing. */
export function findDevServer(stateDir: string): (ServerRecord & { alive: boolean; address: string }) | null {
  const path = recordPath(stateDir);
  if (!existsSync(path)) return null;
  const record = JSON.parse(readFileSync(path, 'utf8')) as ServerRecord;
  return { ...record, alive: isAlive(record.process), address: addressOf(record) };
}

async function release(stateDir: string, lease: string): Promise<void> {
  await locked(
    stateDir,
    () => undefined,
    async () => {
      rmSync(lease, { force: true });
      const server = findDevServer(stateDir);
      if (liveLeases(leaseFolder(stateDir)) === 0 && server?.alive) await stop(server.process);
    },
  );
}

/** The folder's living server, given time to come up; one that lives but never answers is ended. */
async function findHealthy(stateDir: string, onProgress: OnProgress): Promise<ServerRecord | null> {
  const server = findDevServer(stateDir);
  if (!server?.alive) return null;
  if (await answers(server)) return server;
  onProgress(`the Temporal development server (process ${server.process.pid}) does not answer; starting another`);
  await stop(server.process);
  return null;
}

/** Starts the server on the ports it had, or on free ones. */
async function launch(binary: string, stateDir: string, onProgress: OnProgress): Promise<ServerRecord> {
  const previous = findDevServer(stateDir);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(attempt === 1 ? previous?.port : undefined);
    const uiPort = await freePort(attempt === 1 ? previous?.uiPort : undefined, port);
    try {
      return await launchOn(port, uiPort, binary, stateDir, onProgress);
    } catch (error) {
      // Between our look and its bind somebody else may take a port, even the server itself for one of its inner parts.
      const taken = error instanceof Error && error.message.includes('address already in use');
      if (!taken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function launchOn(
  port: number,
  uiPort: number,
  binary: string,
  stateDir: string,
  onProgress: OnProgress,
): Promise<ServerRecord> {
  const dynamicConfig = ['matching.useNewMatcher=true', 'matching.enableFairness=true'];
  const settings = [
    ...['--ip', IP, '--port', String(port), '--ui-port', String(uiPort), '--namespace', NAMESPACE],
    ...['--db-filename', join(stateDir, 'temporal.db'), '--log-level', 'warn'],
    // A write-ahead log halves the time of a run of many small items: it survives kill -9; a power cut may cost the last
    // moments of a history, and then their parts are found by digest.
    ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
    ...dynamicConfig.flatMap((pair) => ['--dynamic-config-value', pair]),
  ];
  const log = openLog(stateDir);
  const logStart = statSync(logPath(stateDir)).size;
  // A session of its own, so that Ctrl-C in the terminal leaves the server to the graceful end of its users.
  const child = spawn(binary, ['server', 'start-dev', ...settings], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  await once(child, 'spawn'); // rejects with what keeps the binary from starting
  child.unref();
  const logEnd = () => readFileSync(logPath(stateDir)).subarray(logStart).toString().trim().slice(-2000);
  const identity = processIdentity(child.pid);
  if (!identity) throw new Error(`the Temporal development server ended at once:\n${logEnd()}`);
  const record: ServerRecord = { process: identity, port, uiPort, startedAt: new Date().toISOString() };
  // Before it answers: whoever finds us killed in between finds the server too.
  writeFileSync(`${recordPath(stateDir)}.draft`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${recordPath(stateDir)}.draft`, recordPath(stateDir));
  if (await answers(record, onProgress)) return record;
  const what = isAlive(identity) ? `did not answer within ${START_SECONDS} s` : 'ended before it answered';
  await stop(identity);
  throw new Error(`the Temporal development server ${what} (${logPath(stateDir)}):\n${logEnd()}`);
}

/** Waits until the server serves the namespace; false when its process ends or the time is over. */
async function answers(record: ServerRecord, onProgress: OnProgress = () => undefined): Promise<boolean> {
  const startedAt = Date.now();
  let nextLine = 10;
  for (;;) {
    if (await servesNamespace(addressOf(record))) return true;
    const seconds = (Date.now() - startedAt) / 1000;
    if (!isAlive(record.process) || seconds > START_SECONDS) return false;
    if (seconds > nextLine) {
      onProgress(`waiting for the Temporal development server, ${Math.round(seconds)} s`);
      nextLine += 10;
    }
    await sleep(100);
  }
}

async function servesNamespace(address: string): Promise<boolean> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: '2s' });
    const { workflowService } = connection;
    await connection.withDeadline(Date.now() + 2000, () => workflowService.describeNamespace({ namespace: NAMESPACE }));
    return true;
  } catch {
    return false; // refused, not up yet, or the namespace not made yet: the caller decides how long to go on
  } finally {
    await connection?.close();
  }
}

async function stop(identity: ProcessIdentity): Promise<void> {
  const gone = async (seconds: number) => {
    for (const end = Date.now() + 1000 * seconds; isAlive(identity); await sleep(50))
      if (Date.now() > end) return false;
    return true;
  };
  if (await gone(0)) return;
  process.kill(identity.pid, 'SIGTERM');
  if (await gone(STOP_SECONDS)) return;
  process.kill(identity.pid, 'SIGKILL');
  if (!(await gone(STOP_SECONDS))) throw new Error(`process ${identity.pid} (Temporal server) survives SIGKILL`);
}

/** `wanted` if it can be bound, else one that the system picks, never `taken`. */
async function freePort(wanted = 0, taken?: number): Promise<number> {
  const port = await new Promise<number | null>((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(null));
    probe.listen(wanted, IP, () => {
      const address = probe.address();
      probe.close(() => resolve(address && typeof address === 'object' ? address.port : null));
    });
  });
  return port === null || port === taken ? freePort(0, taken) : port;
}

function openLog(stateDir: string): number {
  const path = logPath(stateDir);
  if (existsSync(path) && statSync(path).size > LOG_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a');
}

function locked<T>(stateDir: string, onProgress: OnProgress, work: () => T | Promise<T>): Promise<T> {
  const onWait = (pid: number) => onProgress(`waiting for process ${pid}, which starts or stops the Temporal server`);
  return withLock(join(stateDir, 'server.lock'), work, { onWait });
}

const addressOf = (record: ServerRecord) => `${IP}:${record.port}`;
const recordPath = (stateDir: string) => join(stateDir, 'server.json');
const logPath = (stateDir: string) => join(stateDir, 'temporal.log');
const leaseFolder = (stateDir: string) => join(stateDir, 'leases');
