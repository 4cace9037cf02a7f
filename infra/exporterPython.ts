import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cacheFolder.js';
import { completeMark, provisionFolder, runReporting, type OnProgress } from './provision.js';
import { environmentTool, packageRoot, which } from './toolchain.js';

/** What the exporters' environments are made with. */
export const EXPORTER_PYTHON = {
  /** Installs packages by hash and shares them between environments by hard links; pip does neither. */
  uv: '0.13.9',
  /** The version that the lock files are for. */
  python: '3.11',
} as const;

const MEND =
  `Python ${EXPORTER_PYTHON.python} with venv must be on PATH and a package index reachable (pip's and uv's own settings hold: ` +
  'UV_INDEX_URL, SSL_CERT_FILE, HTTPS_PROXY). An environment made by hand is taken from KOINE_EXPORT_PYTHON_<NAME>';

/** A Python environment that cannot be made here; the message says what was tried and the mend. */
export class EnvironmentUnavailable extends Error {
  override readonly name = 'EnvironmentUnavailable';
}

/** Lock file of an exporter environment: every package pinned, with its hashes. */
export function exporterLock(name: string): string {
  return join(packageRoot(), 'models/export/environments', `${name}.lock`);
}

/**
 * Python of an exporter environment: `KOINE_EXPORT_PYTHON_<NAME>`, else a virtual environment in the cache, made on first use
 * from `models/export/environments/<name>.lock`. Its folder carries the lock's digest, so that another lock makes another
 * environment.
 * @param name e.g. `chgnet`
 * @throws EnvironmentUnavailable
 */
export async function ensureExporterPython(name: string, onProgress: OnProgress): Promise<string> {
  try {
    const own = environmentTool(`KOINE_EXPORT_PYTHON_${name.toUpperCase()}`);
    if (own) return own;
    const folder = environmentFolder(name);
    const python = join(folder, 'bin/python');
    if (existsSync(completeMark(folder))) return python;
    const uv = await ensureUv(onProgress);
    const env = { UV_CACHE_DIR: join(cacheFolder(), 'uv'), UV_NO_PROGRESS: '1' };
    const label = `Python environment '${name}'`;
    await provisionFolder(
      folder,
      async () => {
        const venv = ['venv', '--allow-existing', '--no-project', '--python', EXPORTER_PYTHON.python, folder];
        await runReporting(`${label}: uv venv`, uv, venv, { env, onProgress });
        const sync = ['pip', 'sync', '--require-hashes', '--python', python, exporterLock(name)];
        await runReporting(`${label}: packages of ${name}.lock (gigabytes, once)`, uv, sync, { env, onProgress });
      },
      onProgress,
    );
    return python;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new EnvironmentUnavailable(`the Python environment '${name}' could not be made: ${why}\nMend: ${MEND}.`, {
      cause: error,
    });
  }
}

/** Whether {@link ensureExporterPython} would find the environment made. */
export function hasExporterPython(name: string): boolean {
  return (
    environmentTool(`KOINE_EXPORT_PYTHON_${name.toUpperCase()}`) !== null ||
    existsSync(completeMark(environmentFolder(name)))
  );
}

function environmentFolder(name: string): string {
  const lock = exporterLock(name);
  if (!existsSync(lock)) throw new Error(`there is no ${lock}: koine has no Python environment '${name}'`);
  const digest = createHash('sha256').update(readFileSync(lock)).digest('hex').slice(0, 12);
  return join(cacheFolder(), 'python', `export-${name}-${digest}`);
}

/** Path of uv: `KOINE_UV`, else on PATH, else one that pip puts into the cache. */
async function ensureUv(onProgress: OnProgress): Promise<string> {
  const found = environmentTool('KOINE_UV') ?? which('uv');
  if (found) return found;
  const { uv, python } = EXPORTER_PYTHON;
  const folder = join(cacheFolder(), 'python', `uv-${uv}`);
  await provisionFolder(
    folder,
    async () => {
      const base = which(`python${python}`) ?? 'python3';
      await runReporting(`uv ${uv}: ${base} -m venv`, base, ['-m', 'venv', folder], { onProgress });
      const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', `uv==${uv}`];
      await runReporting(`uv ${uv}: pip install`, join(folder, 'bin/python'), pip, { onProgress });
    },
    onProgress,
  );
  return join(folder, 'bin/uv');
}
