import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSettings, settingsReference } from '../../config/settings.js';

describe('readSettings', () => {
  test('an empty environment gives an embedded koine in the home folder', () => {
    const settings = readSettings({});
    expect(settings.embedded).toBe(true);
    expect(settings.cacheDir).toBe(join(homedir(), '.cache/koine'));
    expect(settings.stateDir).toBe(join(homedir(), '.local/state/koine'));
    expect(settings.modelsDir).toBe(join(homedir(), '.local/share/koine/models'));
    expect(settings.threads).toBeGreaterThanOrEqual(1);
    expect(settings.deployment).toBeUndefined();
  });

  test('koine folders win over XDG folders, those over the home folder', () => {
    const xdg = { XDG_CACHE_HOME: '/xdg/cache', XDG_STATE_HOME: '/xdg/state', XDG_DATA_HOME: '/xdg/data' };
    expect(readSettings(xdg)).toMatchObject({
      cacheDir: '/xdg/cache/koine',
      stateDir: '/xdg/state/koine',
      modelsDir: '/xdg/data/koine/models',
    });
    expect(readSettings({ ...xdg, KOINE_CACHE_DIR: '/c', KOINE_STATE_DIR: '/s', KOINE_MODELS: '/m' })).toMatchObject({
      modelsDir: '/m',
      cacheDir: '/c',
      stateDir: '/s',
    });
  });

  test('TEMPORAL_ADDRESS ends embedded mode', () => {
    expect(readSettings({ TEMPORAL_ADDRESS: 'temporal:7233' }).embedded).toBe(false);
  });

  test('a deployment has a name and, where given, a build id', () => {
    expect(readSettings({ KOINE_DEPLOYMENT: 'koine' }).deployment).toEqual({ name: 'koine', buildId: undefined });
    expect(readSettings({ KOINE_DEPLOYMENT: 'koine', KOINE_BUILD_ID: '1a' }).deployment?.buildId).toBe('1a');
  });

  test.each(['zero', '0', '-2', '1.5', ''])('KOINE_THREADS=%s is refused by name and value', (value) => {
    expect(() => readSettings({ KOINE_THREADS: value })).toThrow(`KOINE_THREADS=${value}: `);
  });

  test('settings cannot be changed', () => {
    expect(Object.isFrozen(readSettings({}))).toBe(true);
  });
});

test('the reference names what the settings read, with a meaning', () => {
  const names = settingsReference().map(({ name }) => name);
  expect(names).toContain('KOINE_THREADS');
  expect(names).toContain('TEMPORAL_ADDRESS');
  for (const { meaning } of settingsReference()) expect(meaning.length).toBeGreaterThan(10);
});
