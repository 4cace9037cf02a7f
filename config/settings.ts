import { homedir, availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const positive = z.coerce.number().int().min(1);

/** Settings of a process, read once from the environment by the mains in `cli/` and `workers/`; nobody else does. */
const settingsSchema = z.object({
  KOINE_CACHE_DIR: z
    .string()
    .optional()
    .describe('Tools and remote models. Default: $XDG_CACHE_HOME/koine or ~/.cache/koine.'),
  KOINE_MODELS: z
    .string()
    .optional()
    .describe(
      'Your model store, which koine models add fills. Default: $XDG_DATA_HOME/koine/models or ~/.local/share/koine/models.',
    ),
  KOINE_STATE_DIR: z
    .string()
    .optional()
    .describe('Database and address of the embedded server. Default: $XDG_STATE_HOME/koine or ~/.local/state/koine.'),
  KOINE_THREADS: positive
    .optional()
    .describe('Inference threads, and compute threads beside them. Default: all cores.'),
  KOINE_QUEUE_SUFFIX: z.string().default('').describe('Separates deployments that share a Temporal namespace.'),
  KOINE_DEPLOYMENT: z.string().optional().describe('Worker deployment name; turns worker versioning on.'),
  KOINE_BUILD_ID: z.string().optional().describe('Build id of this worker version; the bundle hash by default.'),
  KOINE_METRICS_ADDRESS: z.string().optional().describe('host:port of a Prometheus endpoint, e.g. 127.0.0.1:9464.'),
  TEMPORAL_ADDRESS: z.string().optional().describe('Frontend of a real cluster; without it everything is embedded.'),
  XDG_CACHE_HOME: z.string().optional(),
  XDG_DATA_HOME: z.string().optional(),
  XDG_STATE_HOME: z.string().optional(),
});

/** What a process needs to know about where it runs. */
export interface Settings {
  readonly cacheDir: string;
  /** The user's model store: a folder that need not be there. */
  readonly modelsDir: string;
  readonly stateDir: string;
  readonly threads: number;
  readonly queueSuffix: string;
  readonly deployment: { readonly name: string; readonly buildId: string | undefined } | undefined;
  readonly metricsAddress: string | undefined;
  /** True when no Temporal cluster is configured: development server, workers in this process. */
  readonly embedded: boolean;
}

/**
 * Reads the settings.
 * @throws {Error} naming the variable, its value and what would be right
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const result = settingsSchema.safeParse(environment);
  if (!result.success)
    throw new Error(
      result.error.issues
        .map(({ path, message }) => `environment ${path.join('.')}=${environment[String(path[0])]}: ${message}`)
        .join('\n'),
    );
  const env = result.data;
  return Object.freeze({
    cacheDir: env.KOINE_CACHE_DIR ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'koine'),
    modelsDir: env.KOINE_MODELS ?? join(env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'koine', 'models'),
    stateDir: env.KOINE_STATE_DIR ?? join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'koine'),
    threads: env.KOINE_THREADS ?? availableParallelism(),
    queueSuffix: env.KOINE_QUEUE_SUFFIX,
    deployment: env.KOINE_DEPLOYMENT ? { name: env.KOINE_DEPLOYMENT, buildId: env.KOINE_BUILD_ID } : undefined,
    metricsAddress: env.KOINE_METRICS_ADDRESS,
    embedded: !env.TEMPORAL_ADDRESS,
  });
}

/** Name and meaning of every environment variable koine reads, for `koine doctor` and the documentation. */
export function settingsReference(): { name: string; meaning: string }[] {
  return Object.entries(settingsSchema.shape).flatMap(([name, schema]) =>
    schema.description ? [{ name, meaning: schema.description }] : [],
  );
}
