import * as keys from './keys.js';
import { ObjectNotFound, type ObjectStore, type StoreOptions } from './store/objectStore.js';
import { mapWindow, REQUESTS_AT_ONCE } from './store/window.js';

/** Keys that a JSON document refers to: of every `{ key, sha256 }` in it, at any depth. */
export function referencesIn(document: unknown): string[] {
  const found: string[] = [];
  const walk = (value: unknown) => {
    if (Array.isArray(value)) for (const item of value) walk(item);
    else if (typeof value === 'object' && value !== null) {
      const { key, sha256 } = value as Record<string, unknown>;
      if (typeof key === 'string' && typeof sha256 === 'string') found.push(key);
      for (const member of Object.values(value)) walk(member);
    }
  };
  walk(document);
  return found;
}

/** A node of a manifest tree, as far as it matters for what refers to what. */
export interface ReferringNode {
  /** Whether it is the root of a tree: a manifest of a run. */
  root: boolean;
  /** Keys of the nodes below it. */
  children: string[];
  /** Those objects that were asked for which it lists itself. */
  listed: string[];
}

/**
 * All nodes of all manifest trees by their keys, with those of the asked objects that each lists. Many are read at once; what is kept of one
 * is small. A child that is in no tree's reach any more is missing in the map.
 */
export async function nodesReferring(
  store: ObjectStore,
  asked: (key: string) => boolean,
  options: StoreOptions = {},
): Promise<Map<string, ReferringNode>> {
  const nodes = new Map<string, ReferringNode>();
  const read = async (key: string) => {
    let bytes: Uint8Array;
    try {
      bytes = await store.get(key, options);
    } catch (error) {
      if (error instanceof ObjectNotFound) return; // removed meanwhile
      throw error;
    }
    const document = JSON.parse(Buffer.from(bytes).toString('utf8')) as { kind?: unknown } | null;
    const references = referencesIn(document);
    const children = references.filter((reference) => reference.startsWith(keys.MANIFESTS));
    nodes.set(key, { root: document?.kind === 'run', children, listed: references.filter(asked) });
  };
  async function* listed() {
    for await (const { key } of store.list(keys.MANIFESTS, options)) yield key;
  }
  await mapWindow(listed(), REQUESTS_AT_ONCE, read, options.signal);
  // Children are put before their parents, but a listing takes time: a parent may be on a later page than a child that was not there yet.
  for (let level = [...nodes.values()]; level.length > 0;) {
    const unread = new Set(level.flatMap(({ children }) => children.filter((child) => !nodes.has(child))));
    await mapWindow(unread, REQUESTS_AT_ONCE, read, options.signal);
    level = [...unread].flatMap((key) => nodes.get(key) ?? []);
  }
  return nodes;
}

/** Keys of some nodes and of all below them. */
export function reachable(nodes: ReadonlyMap<string, ReferringNode>, from: Iterable<string>): Set<string> {
  const reached = new Set<string>();
  const open = [...from];
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (reached.has(key)) continue;
    reached.add(key);
    open.push(...(nodes.get(key)?.children ?? []));
  }
  return reached;
}
