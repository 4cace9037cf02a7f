// The second half of `npm run build`, after tsc: sweeps what deleted sources left in dist/, bundles the workflows, copies
// what is not TypeScript, and makes the command executable. Each step does nothing when nothing changed.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { globSync } from 'tinyglobby';
import { packageRoot } from './toolchain.js';

const root = packageRoot();
const dist = join(root, 'dist');

/** Files that the compiled code reads beside itself and tsc does not write. */
const ASSETS: string[] = [];

/** Compiled files whose source is gone would still be imported, tested and shipped. */
function sweep(): void {
  for (const file of globSync('**/*.js', { cwd: dist })) {
    if (file === 'workflows/bundle.js') continue;
    if (existsSync(join(root, file.replace(/\.js$/, '.ts')))) continue;
    rmSync(join(dist, file));
    rmSync(join(dist, `${file}.map`), { force: true });
  }
}

/**
 * `workflows/bundle.js`, so that workers start without webpack, and its digest in `bundle.sha256` (part of a deployment's
 * build id). The digest of everything it is made from is kept beside it, to bundle only when that changes.
 */
async function bundleWorkflows(): Promise<void> {
  const bundle = join(dist, 'workflows/bundle.js');
  const key = join(dist, 'workflows/bundle.inputs');
  const inputs = createHash('sha256');
  for (const file of globSync('{workflows,config}/**/*.js', {
    cwd: dist,
    ignore: ['workflows/bundle.js'],
  }).sort()) {
    inputs.update(`${file}\0`).update(readFileSync(join(dist, file)));
  }
  inputs.update(readFileSync(join(root, 'package-lock.json')));
  const digest = inputs.digest('hex');
  if (existsSync(bundle) && existsSync(key) && readFileSync(key, 'utf8') === digest) return;
  const warn = (line: string) => void process.stderr.write(`workflow bundle: ${line}\n`);
  const quiet = () => undefined;
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows/index.js'),
    logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn, error: warn },
  });
  writeFileSync(bundle, code);
  writeFileSync(join(dist, 'workflows/bundle.sha256'), `${createHash('sha256').update(code).digest('hex')}\n`);
  writeFileSync(key, digest);
}

function copyAssets(): void {
  for (const file of ASSETS) {
    const [from, to] = [join(root, file), join(dist, file)];
    if (existsSync(to) && statSync(to).mtimeMs >= statSync(from).mtimeMs) continue;
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to);
  }
}

sweep();
await bundleWorkflows();
copyAssets();
const command = join(dist, 'cli/main.js');
if (existsSync(command)) chmodSync(command, 0o755);
