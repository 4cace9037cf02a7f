// The command line end to end, as a user has it: `koine models add` of a potential whose weights come inside its package, into an
// empty store, then `koine models verify` of what is there. Run by exporter-tests.mjs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { root, say } from './setup.mjs';

/** Catalog ids whose weights come inside the packages, by environment. */
const IN_PACKAGE = { chgnet: 'chgnet-0.3.0', sevennet: 'sevennet-0-11jul2024' };

/**
 * @param {string} environment
 * @param {string} python of that environment
 * @returns {{ passed: number, failed: number }}
 */
export function addForReal(environment, python) {
  const id = IN_PACKAGE[environment];
  if (!id) return { passed: 0, failed: 0 };
  const store = mkdtempSync(join(tmpdir(), 'koine-add-'));
  const koine = (...args) => {
    const command = [join(root, 'dist/cli/main.js'), 'models', ...args, '--json'];
    const env = { ...process.env, KOINE_MODELS: store, [`KOINE_EXPORT_PYTHON_${environment.toUpperCase()}`]: python };
    return JSON.parse(
      execFileSync(process.execPath, command, { cwd: root, env, stdio: ['ignore', 'pipe', 2] }).toString(),
    );
  };
  try {
    const { added, card, checks } = koine('add', id);
    assert.equal(added, true);
    assert.equal(card.id, id);
    assert.equal(card.control, null);
    assert.ok(checks.some(({ check, ok }) => check === 'parity' && ok));
    assert.deepEqual(readdirSync(store), [id]);
    assert.equal(koine('verify', id).ok, true);
    const listed = koine('list').find((model) => model.id === id);
    assert.equal(listed.status, 'in store');
    assert.equal(listed.onnx_sha256, card.onnx_sha256);
    return { passed: 1, failed: 0 };
  } catch (error) {
    say(`koine models add ${id}: ${error.message}`);
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(store, { recursive: true, force: true });
  }
}
