#!/usr/bin/env node
import { readSettings, type Settings } from '../config/settings.js';
import { processConsole } from './console.js';
import type { Context } from './context.js';
import { runCommandLine } from './program.js';
import { Refusal } from './refusal.js';

let settings: Settings | undefined;
const context: Context = {
  console: processConsole(process.stdout, process.stderr),
  settings() {
    try {
      return (settings ??= readSettings(process.env));
    } catch (error) {
      throw new Refusal((error as Error).message, undefined, { cause: error });
    }
  },
};

const code = await runCommandLine(process.argv.slice(2), context);
// The SDK's native runtime keeps a process alive that could not start a worker: whatever is left when a command has ended, ends with it.
for (const stream of [process.stdout, process.stderr]) await new Promise((written) => stream.write('', written));
process.exit(code);
