import { join } from 'node:path';
import type { ActivityDependencies } from '../activities/run/openRun.js';
import type { ComputeTasks } from '../activities/compute/computeThread.js';
import type { Settings } from '../config/settings.js';
import { openStore } from '../datasets/store/open.js';
import { packageRoot } from '../infra/toolchain.js';
import type { Provider } from '../models/graphBatch.js';
import { InferencePool } from '../models/inferencePool.js';
import { ModelStore, type ModelFetcher } from '../models/store.js';
import { compiledEntry, ThreadPool } from '../threads/pool.js';

/** Dependencies that hold threads; close them when the process is done. */
export interface OwnedDependencies extends ActivityDependencies {
  close: () => Promise<void>;
}

/** What activities run on, made from the settings of this process. Threads and sessions start on first use. */
export function activityDependencies(settings: Settings): OwnedDependencies {
  const pools = new Map<Provider, InferencePool>();
  const compute = new ThreadPool<ComputeTasks>(
    compiledEntry('../activities/compute/computeThread.js', import.meta.url),
    settings.threads,
  );
  return {
    openStore: (url) => openStore(url),
    openModels: (locations) => openModels(settings, locations),
    inference(provider) {
      const known = pools.get(provider);
      if (known) return known;
      // A GPU is fed by one session; cores run one single-threaded session each.
      const pool = new InferencePool({ threads: provider === 'cpu' ? settings.threads : 1, provider });
      pools.set(provider, pool);
      return pool;
    },
    compute,
    async close() {
      await Promise.all([compute.close(), ...[...pools.values()].map((pool) => pool.close())]);
    },
  };
}

/** Where models are looked for unless a run or a command says: the user's store, then the reference potentials that come with koine. */
export function defaultStores(settings: Settings): string[] {
  return [settings.modelsDir, join(packageRoot(), 'models/reference')];
}

/** Model stores by location: folders in place, `s3://` prefixes cached by digest. */
export function openModels(settings: Settings, locations: readonly string[] = defaultStores(settings)): ModelStore {
  return new ModelStore(
    locations.map((location) => (location.startsWith('s3://') ? remoteModels(location) : location)),
    join(settings.cacheDir, 'models'),
  );
}

function remoteModels(url: string): ModelFetcher {
  const store = openStore(url);
  return {
    name: url,
    async list() {
      const paths: string[] = [];
      for await (const { key } of store.list('')) paths.push(key);
      return paths;
    },
    fetch: (path) => store.get(path),
  };
}
