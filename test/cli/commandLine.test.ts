import { describe, expect, test } from 'vitest';
import type { Context } from '../../cli/context.js';
import { runCommandLine } from '../../cli/program.js';
import { readSettings, settingsReference } from '../../config/settings.js';
import { recordedConsole } from './support.js';

async function koine(argv: string[], environment: NodeJS.ProcessEnv = {}) {
  const console = recordedConsole();
  const context: Context = { console, settings: () => readSettings(environment) };
  const exitCode = await runCommandLine(argv, context);
  return { exitCode, stdout: console.answered, stderr: console.said };
}

describe('koine', () => {
  test('--help lists the commands, the exit codes and every environment variable', async () => {
    const { exitCode, stdout } = await koine(['--help']);
    expect(exitCode).toBe(0);
    for (const command of ['run', 'plan', 'status', 'watch', 'pause', 'resume', 'cancel', 'window', 'models', 'verify'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    for (const command of ['worker', 'doctor', 'schema', 'schedule'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(stdout).toContain('3 quarantine limit passed');
    for (const { name } of settingsReference()) expect(stdout).toContain(name);
  });

  test.each([
    ['no command', [], 'Usage: koine'],
    ['an unknown command', ['rnu'], "unknown command 'rnu'"],
    ['an unknown option', ['run', 'spec.yaml', '--fast'], "unknown option '--fast'"],
    ['a missing argument', ['run'], "missing required argument 'spec'"],
    ['a window of no number', ['run', 'x', '--window', 'many'], 'It must be a whole number from 1 to 500.'],
    ['a window of nothing', ['window', 'run', '0'], 'It must be a whole number from 1 to 500.'],
    ['an unknown queue', ['worker', '--queue', 'control,gpu'], "'gpu' is none of control, inference, compute."],
    ['an unknown provider', ['models', 'verify', 'x', '--provider', 'tpu'], 'Allowed choices are cpu, cuda, webgpu'],
    ['a backfill without an end', ['schedule', 'backfill', 'x', '--from', '2026-01-01'], "required option '--to"],
    ['a time that is none', ['schedule', 'backfill', 'x', '--from', 'monday'], 'It must be a time like'],
  ])('%s is a usage error', async (_, argv, message) => {
    const { exitCode, stdout, stderr } = await koine(argv);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
  });

  test('schema prints a JSON Schema', async () => {
    const { exitCode, stdout } = await koine(['schema']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', additionalProperties: false });
  });

  test.each(['run', 'plan'])('%s of a spec that is not there is refused before anything starts', async (command) => {
    const { exitCode, stdout, stderr } = await koine([command, '/nowhere/spec.yaml', '--json']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^koine: \/nowhere\/spec\.yaml: cannot be read/);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'refused', run_id: null });
  });

  test('what needs a cluster says so where there is none', async () => {
    for (const argv of [['worker'], ['schedule', 'list'], ['run', 'spec.yaml', '--detach']]) {
      const { exitCode, stderr } = await koine(argv);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('TEMPORAL_ADDRESS');
    }
  });

  test('a model store that is not there is refused by path', async () => {
    const { exitCode, stderr } = await koine(['models', 'list', '--store', '/nowhere/models']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--store /nowhere/models: there is no such folder');
  });
});
