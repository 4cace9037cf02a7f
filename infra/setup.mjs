// What `npm test` and `npm run demo` do first, so that either works right after `git clone`: packages, build, tools.
// Plain JavaScript without imports from the project, since before it has run there is no compiled code.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} line */
export const say = (line) => void process.stderr.write(`koine: ${line}\n`);

/** Runs a command in the repository and ends this process with its exit code if it fails. */
function must(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) say(`${command} can't start: ${error.message}`);
  if (status !== 0) {
    say(`\`${[command, ...args].join(' ')}\` failed`);
    process.exit(status ?? 1);
  }
}

/** Installs the packages of the lock file unless `node_modules` is at least as new (npm writes that file last). */
function installPackages() {
  const installed = join(root, 'node_modules/.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  say('installing npm packages (about 600 MB, a minute)');
  must('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error'); // also under `npm test --silent`
}

/**
 * Packages, build and the named tools.
 * @param {('Temporal' | 'Versitygw' | 'ReferencePython')[]} tools
 * @returns their paths, in order
 */
export async function setUp(tools) {
  installPackages();
  say('building');
  must('npm', 'run', '--silent', 'build');
  const toolchain = await import(pathToFileURL(join(root, 'dist/infra/toolchain.js')).href);
  const paths = [];
  for (const tool of tools) {
    try {
      paths.push(await toolchain[`ensure${tool}`](say));
    } catch (error) {
      say(error.message);
      process.exit(1);
    }
  }
  return paths;
}
