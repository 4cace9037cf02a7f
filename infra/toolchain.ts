import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder } from './cacheFolder.js';
import { completeMark, provision, provisionFolder, runReporting, type OnProgress } from './provision.js';

/** Tools that koine does not get from npm, at the versions it is tested with. */
export const PINNED = {
  temporal: {
    version: '1.5.1',
    /** Pinned runs and fairness need this server; the CLI's own version is no guide, `go install` leaves it at 0.0.0-DEV. */
    leastServer: '1.29.1',
    goPackage: 'github.com/temporalio/cli/cmd/temporal',
  },
  versitygw: { version: '1.8.0', goPackage: 'github.com/versity/versitygw/cmd/versitygw' },
  /** Least Python of the reference environment, set by numpy and scipy of the lock file. */
  python: { leastVersion: '3.11' },
} as const;

/** Where a tool is, for `koine doctor`. */
export interface ToolStatus {
  name: string;
  /** What is asked for, e.g. `server 1.29.1 or newer`. */
  wanted: string;
  path: string | null;
  source: 'environment' | 'PATH' | 'cache' | 'missing';
  /** How to supply it by hand. */
  mend: string;
}

const toStderr: OnProgress = (line) => void process.stderr.write(`${line}\n`);

const MEND_TEMPORAL = `put the Temporal CLI (server ${PINNED.temporal.leastServer} or newer) on PATH, or set KOINE_TEMPORAL_BIN to it`;
const MEND_VERSITYGW = `put versitygw on PATH, or set KOINE_VERSITYGW_BIN to it`;
const MEND_PYTHON = `put python3 (${PINNED.python.leastVersion} or newer, with venv) on PATH, or set KOINE_REFERENCE_PYTHON to a Python that has test/python/requirements.lock installed`;

/**
 * Path of a Temporal CLI: `KOINE_TEMPORAL_BIN`, else `temporal` on PATH if recent enough, else the cache; when nothing is
 * there, the SDK's own download and then `go install` fill the cache.
 * @throws Error naming everything tried and how to supply it by hand
 */
export async function ensureTemporal(onProgress: OnProgress = toStderr): Promise<string> {
  const found = await findTemporal();
  if (found.path) return found.path;
  const path = cachedTool('temporal', PINNED.temporal.version);
  const tried = [`PATH: ${found.rejected ?? 'there is no temporal'}`];
  await provision(
    path,
    async (temporary) => {
      try {
        await downloadTemporal(temporary, onProgress);
        return;
      } catch (error) {
        tried.push(`the SDK's download: ${message(error)}`);
      }
      try {
        await goInstall('temporal', PINNED.temporal, temporary, onProgress);
      } catch (error) {
        tried.push(`go install: ${message(error)}`);
        throw new Error(
          `temporal: none could be found or made. Tried\n- ${tried.join('\n- ')}\nMend: ${MEND_TEMPORAL}.`,
        );
      }
    },
    onProgress,
  );
  return path;
}

/**
 * Path of versitygw, the S3 server of the tests: `KOINE_VERSITYGW_BIN`, else PATH, else the cache, which `go install` fills.
 * @throws Error naming what was tried and how to supply it by hand
 */
export async function ensureVersitygw(onProgress: OnProgress = toStderr): Promise<string> {
  const found = findVersitygw();
  if (found.path) return found.path;
  const path = cachedTool('versitygw', PINNED.versitygw.version);
  await provision(
    path,
    async (temporary) => {
      try {
        await goInstall('versitygw', PINNED.versitygw, temporary, onProgress);
      } catch (error) {
        throw new Error(
          `versitygw: none on PATH, and it could not be built: ${message(error)}\nMend: ${MEND_VERSITYGW}.`,
        );
      }
    },
    onProgress,
  );
  return path;
}

/**
 * Path of the Python that tests compare with: `KOINE_REFERENCE_PYTHON`, else a virtual environment in the cache made from
 * `test/python/requirements.lock`. Its folder carries the digest of that file, so that a new lock makes a new environment;
 * the link `python/reference` points at the present one.
 * @throws Error saying what failed and how to supply it by hand
 */
export async function ensureReferencePython(onProgress: OnProgress = toStderr): Promise<string> {
  const own = environmentTool('KOINE_REFERENCE_PYTHON');
  if (own) return own;
  const { link, folder, lock } = referenceFolders();
  await provisionFolder(
    folder,
    async () => {
      try {
        const label = `reference Python (test/python/requirements.lock)`;
        await runReporting(`${label}: python3 -m venv`, 'python3', ['-m', 'venv', folder], { onProgress });
        const python = join(folder, 'bin/python');
        const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--requirement', lock];
        await runReporting(`${label}: pip install`, python, pip, { onProgress });
      } catch (error) {
        throw new Error(`the tests' reference Python could not be made: ${message(error)}\nMend: ${MEND_PYTHON}.`);
      }
    },
    onProgress,
  );
  pointLink(link, basename(folder));
  return join(link, 'bin/python');
}

/** Where each tool is at present; makes nothing. */
export async function toolStatus(): Promise<ToolStatus[]> {
  const temporal = await findTemporal();
  const versitygw = findVersitygw();
  const python = findReferencePython();
  return [
    {
      name: 'temporal',
      wanted: `server ${PINNED.temporal.leastServer} or newer`,
      ...pick(temporal),
      mend: MEND_TEMPORAL,
    },
    { name: 'versitygw', wanted: `${PINNED.versitygw.version} (tests only)`, ...pick(versitygw), mend: MEND_VERSITYGW },
    {
      name: 'reference python',
      wanted: 'test/python/requirements.lock (tests only)',
      ...pick(python),
      mend: MEND_PYTHON,
    },
  ];
}

interface Found {
  path: string | null;
  source: ToolStatus['source'];
  /** Why something that was there won't do. */
  rejected?: string;
}

const pick = ({ path, source }: Found) => ({ path, source });

async function findTemporal(): Promise<Found> {
  const own = environmentTool('KOINE_TEMPORAL_BIN');
  if (own) {
    const problem = await temporalProblem(own);
    if (problem) throw new Error(`KOINE_TEMPORAL_BIN: ${problem}`);
    return { path: own, source: 'environment' };
  }
  const onPath = which('temporal');
  const rejected = onPath ? await temporalProblem(onPath) : null;
  if (onPath && !rejected) return { path: onPath, source: 'PATH' };
  return { ...inCache('temporal', PINNED.temporal.version), ...(rejected ? { rejected } : {}) };
}

function findVersitygw(): Found {
  const own = environmentTool('KOINE_VERSITYGW_BIN');
  if (own) return { path: own, source: 'environment' };
  const onPath = which('versitygw');
  return onPath ? { path: onPath, source: 'PATH' } : inCache('versitygw', PINNED.versitygw.version);
}

function findReferencePython(): Found {
  const own = environmentTool('KOINE_REFERENCE_PYTHON');
  if (own) return { path: own, source: 'environment' };
  const { folder, link } = referenceFolders();
  return existsSync(completeMark(folder))
    ? { path: join(link, 'bin/python'), source: 'cache' }
    : { path: null, source: 'missing' };
}

function inCache(name: string, version: string): Found {
  const path = cachedTool(name, version);
  return existsSync(path) ? { path, source: 'cache' } : { path: null, source: 'missing' };
}

function cachedTool(name: string, version: string): string {
  return join(cacheFolder(), 'tools', `${name}-${version}`, name);
}

/** Why the binary won't do, or null. It prints `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`. */
async function temporalProblem(path: string): Promise<string | null> {
  let text: string;
  try {
    text = (await promisify(execFile)(path, ['--version'])).stdout.trim();
  } catch (error) {
    return `${path} --version fails: ${message(error)}`;
  }
  const server = /Server (\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (!server) return `${path} --version prints '${text}', which names no server version`;
  const { leastServer } = PINNED.temporal;
  return newerOrEqual(server, leastServer) ? null : `${path} has server ${server}; koine needs ${leastServer} or newer`;
}

function newerOrEqual(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => text.split('.').map(Number));
  const differs = a.findIndex((part, i) => part !== b[i]);
  return differs === -1 || a[differs] > b[differs];
}

/** Lets the SDK fetch the pinned CLI, in a process of its own: it starts the server once, and would install a Runtime. */
async function downloadTemporal(temporary: string, onProgress: OnProgress): Promise<void> {
  const version = `v${PINNED.temporal.version}`;
  const downloadDir = `${temporary}.download`;
  const script = `
    const { TestWorkflowEnvironment } = require(process.argv[1]);
    const executable = { type: 'cached-download', downloadDir: process.argv[2], version: process.argv[3] };
    TestWorkflowEnvironment.createLocal({ server: { executable } }).then((env) => env.teardown());`;
  const sdk = createRequire(import.meta.url).resolve('@temporalio/testing');
  rmSync(downloadDir, { recursive: true, force: true });
  mkdirSync(downloadDir, { recursive: true });
  try {
    const label = `temporal ${PINNED.temporal.version}: download by the SDK`;
    const args = ['--eval', script, sdk, downloadDir, version];
    await runReporting(label, process.execPath, args, { onProgress, timeoutSeconds: 300 });
    const [file] = readdirSync(downloadDir);
    if (!file) throw new Error(`it left nothing in ${downloadDir}`);
    const problem = await temporalProblem(join(downloadDir, file));
    if (problem) throw new Error(problem);
    renameSync(join(downloadDir, file), temporary);
    chmodSync(temporary, 0o755);
  } finally {
    rmSync(downloadDir, { recursive: true, force: true });
  }
}

async function goInstall(
  name: string,
  { goPackage, version }: { goPackage: string; version: string },
  temporary: string,
  onProgress: OnProgress,
): Promise<void> {
  const bin = `${temporary}.bin`;
  try {
    await runReporting(
      `${name} ${version}: go install (minutes, once)`,
      'go',
      ['install', `${goPackage}@v${version}`],
      {
        env: { CGO_ENABLED: '0', GOBIN: bin },
        onProgress,
      },
    );
    renameSync(join(bin, name), temporary);
  } finally {
    rmSync(bin, { recursive: true, force: true });
  }
}

/** Root of the package: the folder above `infra/`, or above `dist/infra/` when compiled. */
export function packageRoot(): string {
  const above = dirname(dirname(fileURLToPath(import.meta.url)));
  return basename(above) === 'dist' ? dirname(above) : above;
}

function referenceFolders(): { link: string; folder: string; lock: string } {
  const lock = join(packageRoot(), 'test/python/requirements.lock');
  const digest = createHash('sha256').update(readFileSync(lock)).digest('hex').slice(0, 8);
  const link = join(cacheFolder(), 'python/reference');
  return { link, folder: `${link}-${digest}`, lock };
}

/** Makes `link` point at `target`, a sibling, in one step that no reader can see half done. */
function pointLink(link: string, target: string): void {
  const present = lstatSync(link, { throwIfNoEntry: false });
  if (present?.isSymbolicLink() && readlinkSync(link) === target) return;
  if (present && !present.isSymbolicLink()) throw new Error(`${link} should be a link to ${target}; move it away`);
  const draft = `${link}.${process.pid}`;
  symlinkSync(target, draft);
  renameSync(draft, link);
}

/** The executable that an environment variable names, or null. @throws Error if it names none */
export function environmentTool(variable: string): string | null {
  const path = process.env[variable];
  if (!path) return null;
  if (!isExecutable(path)) throw new Error(`${variable} is '${path}', which is no executable file`);
  return path;
}

/** The first executable of a name on PATH, or null. */
export function which(name: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
