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

process.exitCode = await runCommandLine(process.argv.slice(2), context);
