import { AsyncLocalStorage } from 'node:async_hooks';

/** What stores ask for. `putIf` are the conditional puts, which some servers bill and limit on their own. */
export const REQUEST_KINDS = ['get', 'head', 'put', 'putIf', 'list', 'copy', 'delete'] as const;
/** See {@link REQUEST_KINDS}. */
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** Requests by kind, each attempt counted, and what went over the wire. Of a folder: operations, and bytes read and written. */
export type RequestCounts = Record<RequestKind | 'retries' | 'bytesIn' | 'bytesOut', number>;

interface Scope {
  counts: RequestCounts;
  outer: Scope | undefined;
}

const total = none();
const scopes = new AsyncLocalStorage<Scope>();

/** No requests. */
export function none(): RequestCounts {
  return { get: 0, head: 0, put: 0, putIf: 0, list: 0, copy: 0, delete: 0, retries: 0, bytesIn: 0, bytesOut: 0 };
}

/** Called by stores: adds to the counts of the process and of every {@link countRequests} that is around the caller. */
export function count(what: keyof RequestCounts, amount = 1): void {
  total[what] += amount;
  for (let scope = scopes.getStore(); scope; scope = scope.outer) scope.counts[what] += amount;
}

/** What this process has asked all its stores for so far. */
export function requestCounts(): RequestCounts {
  return { ...total };
}

/** What was asked for between two {@link requestCounts}. */
export function countsBetween(before: RequestCounts, after: RequestCounts): RequestCounts {
  const difference = none();
  for (const what of Object.keys(difference) as (keyof RequestCounts)[]) difference[what] = after[what] - before[what];
  return difference;
}

/**
 * Runs `work` and counts the requests that it makes, of all stores, whatever runs beside it: the counts follow its promises. A
 * `countRequests` inside another one counts for both.
 */
export async function countRequests<T>(work: () => Promise<T>): Promise<{ result: T; counts: RequestCounts }> {
  const counts = none();
  const result = await scopes.run({ counts, outer: scopes.getStore() }, work);
  return { result, counts };
}
