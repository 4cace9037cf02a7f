// Shared by activities and workflows: plain numbers, no zod.

/** Requests to stores by kind, and bytes over the wire. */
export interface StoreRequests {
  get: number;
  head: number;
  put: number;
  /** Conditional puts. */
  putIf: number;
  list: number;
  copy: number;
  delete: number;
  retries: number;
  bytesIn: number;
  bytesOut: number;
}

/** No requests. */
export function noRequests(): StoreRequests {
  return { get: 0, head: 0, put: 0, putIf: 0, list: 0, copy: 0, delete: 0, retries: 0, bytesIn: 0, bytesOut: 0 };
}

/** Adds `part` to `total` in place. */
export function addRequests(total: StoreRequests, part: StoreRequests): void {
  for (const kind of Object.keys(total) as (keyof StoreRequests)[]) total[kind] += part[kind];
}

/** What a fan-out adds up while it runs. */
export interface Tally {
  done: number;
  reused: number;
  structures: number;
  atoms: number;
  quarantined: number;
  /** Seconds inside `session.run`, and inference-thread seconds around them. */
  runSeconds: number;
  threadSeconds: number;
  requests: StoreRequests;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  const counts = { done: 0, reused: 0, structures: 0, atoms: 0, quarantined: 0, runSeconds: 0, threadSeconds: 0 };
  return { ...counts, requests: noRequests() };
}

/** Adds `part` to `total` in place. */
export function addTally(total: Tally, part: Tally): void {
  for (const key of Object.keys(total) as (keyof Tally)[])
    if (key === 'requests') addRequests(total.requests, part.requests);
    else total[key] += part[key];
}
