import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { finding, type Check, type Finding } from './check.js';
import { findDevServer } from './devServer.js';
import { checkGraphicsCard, checkProviders } from './providers.js';
import { packageRoot, PINNED, toolStatus } from './toolchain.js';

/** What {@link diagnose} looks at besides the machine. */
export interface DiagnosisContext {
  cacheDir: string;
  stateDir: string;
  /** Address of a Temporal cluster; without it the embedded server is looked at. */
  temporalAddress?: string;
  /** Checks of what infra does not know: object store, model stores. One that throws becomes a `missing`. */
  probes?: Readonly<Record<string, () => Promise<Finding>>>;
}

const run = promisify(execFile);

/** Looks at everything a run needs, changes nothing, never throws: what fails to be looked at is a finding too. */
export async function diagnose(context: DiagnosisContext): Promise<Check[]> {
  const probes: Record<string, () => Finding | Promise<Finding>> = {
    node: checkNode,
    packages: checkPackages,
    'workflow bundle': checkBundle,
    'Temporal binary': () => checkTemporalBinary(context),
    'Temporal server': () => checkTemporalServer(context),
    'test tools': checkTestTools,
    'cache folder': () => checkFolder(context.cacheDir, 'KOINE_CACHE_DIR'),
    'state folder': () => checkFolder(context.stateDir, 'KOINE_STATE_DIR'),
    'open files': checkOpenFiles,
    GPU: checkGraphicsCard,
    ...checkProviders(packageRoot()),
    ...context.probes,
  };
  return Promise.all(
    Object.entries(probes).map(async ([name, probe]) => {
      try {
        return { name, ...(await probe()) };
      } catch (error) {
        return {
          name,
          ...finding('missing', error instanceof Error ? error.message : String(error), 'see the message'),
        };
      }
    }),
  );
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = (major === 20 && minor >= 20) || (major === 22 && minor >= 12) || major > 22;
  return good
    ? finding('ok', process.version)
    : finding('missing', process.version, 'install Node 22 (22.12 or newer) or Node 20 (20.20 or newer)');
}

function checkPackages(): Finding {
  const manifest = (folder: string) =>
    JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      version: string;
      dependencies?: Record<string, string>;
    };
  const wanted = Object.entries(manifest(packageRoot()).dependencies ?? {});
  const wrong = wanted.flatMap(([name, version]) => {
    const folder = join(packageRoot(), 'node_modules', name);
    if (!existsSync(folder)) return [`${name} is missing`];
    const present = manifest(folder).version;
    return present === version ? [] : [`${name} is ${present} instead of ${version}`];
  });
  return wrong.length === 0
    ? finding('ok', `${wanted.length} at their pinned versions`)
    : finding('missing', wrong.join(', '), 'npm ci');
}

function checkBundle(): Finding {
  return existsSync(join(packageRoot(), 'dist/workflows/bundle.js'))
    ? finding('ok', 'built')
    : finding('missing', 'dist/workflows/bundle.js is not there', 'npm run build');
}

async function checkTemporalBinary({ temporalAddress }: DiagnosisContext): Promise<Finding> {
  const temporal = (await toolStatus()).find(({ name }) => name === 'temporal');
  if (temporal?.path) return finding('ok', `${temporal.path} (${temporal.source})`);
  if (temporalAddress) return finding('ok', 'none, and none needed: TEMPORAL_ADDRESS is set');
  const go = await run('go', ['version']).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
  const first = `the first run fetches ${PINNED.temporal.version}`;
  return go
    ? finding('warn', `none yet; ${first}, or builds it with ${go} in some minutes`, temporal?.mend)
    : finding('warn', `none yet; ${first}, which needs a network without restrictions; there is no go`, temporal?.mend);
}

async function checkTemporalServer({ temporalAddress, stateDir }: DiagnosisContext): Promise<Finding> {
  if (!temporalAddress) {
    const server = findDevServer(stateDir);
    if (!server) return finding('ok', 'embedded, never started here');
    if (!server.alive) return finding('ok', `embedded, not running now; last started ${server.startedAt}`);
    return finding('ok', `embedded, running at ${server.address}, UI http://127.0.0.1:${server.uiPort}`);
  }
  let connection: Connection;
  try {
    connection = await Connection.connect({ address: temporalAddress, connectTimeout: '3s' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return finding(
      'missing',
      `${temporalAddress}: ${why}`,
      'start it, correct TEMPORAL_ADDRESS, or unset it to run embedded',
    );
  }
  try {
    const { serverVersion } = await connection.workflowService.getSystemInfo({});
    return finding('ok', `${temporalAddress}, server ${serverVersion}`);
  } finally {
    await connection.close();
  }
}

async function checkTestTools(): Promise<Finding> {
  const tools = (await toolStatus()).filter(({ wanted }) => wanted.includes('tests only'));
  const words = tools.map(({ name, path }) => `${name} ${path ? 'is there' : 'not made yet'}`);
  return finding('ok', `${words.join(', ')}; npm test makes them`);
}

/** Bytes below which a folder is worth a word: the Temporal binary is 0.25 GB, the reference Python 1.5 GB. */
const LITTLE_SPACE = 3e9;

function checkFolder(folder: string, variable: string): Finding {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return finding('missing', `${folder} can't be written: ${why}`, `set ${variable} to a folder that can`);
  }
  const { bavail, bsize } = statfsSync(folder);
  const free = `${folder}, ${((bavail * bsize) / 1e9).toFixed(1)} GB free`;
  return bavail * bsize >= LITTLE_SPACE ? finding('ok', free) : finding('warn', free, `make room, or set ${variable}`);
}

async function checkOpenFiles(): Promise<Finding> {
  const { stdout } = await run('sh', ['-c', 'ulimit -n']);
  const limit = stdout.trim();
  return limit === 'unlimited' || Number(limit) >= 1024
    ? finding('ok', `limit ${limit}`)
    : finding('warn', `limit ${limit}`, 'ulimit -n 4096');
}
