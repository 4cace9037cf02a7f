import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteSource } from './structure.js';

/** How an OPTIMADE database is read. */
export interface OptimadeOptions {
  /** Ends the current request and the waiting between attempts. */
  signal?: AbortSignal;
  /** Structures a page; the server may give fewer. @default 100 */
  pageLimit?: number;
  /** Attempts for each page before giving up. @default 6 */
  attempts?: number;
  /** Milliseconds before the second attempt; each further wait is twice as long. @default 500 */
  backoff?: number;
}

/** Fields of a structure that koine reads; asking for these only makes pages several times smaller. */
const FIELDS = [
  ...['id', 'lattice_vectors', 'cartesian_site_positions', 'species_at_sites', 'species', 'assemblies'],
  ...['dimension_types', 'nperiodic_dimensions', 'structure_features', 'nsites', 'chemical_formula_reduced'],
].join();

/** Milliseconds; a server that asks for more patience than this is taken at this. */
const LONGEST_WAIT = 60_000;

/**
 * Structures of an OPTIMADE database (https://www.optimade.org), one source a page, following `links.next`.
 *
 * @param baseUrl of the database, with or without `/v1` and `/structures`; a filter may be given in its query
 * @returns the pages; each is fetched when it is reached, and fetched again when it is opened a second time
 * @throws Error naming the URL when a page cannot be fetched: at once for a status that no retry mends, else after the attempts
 */
export async function* optimadeSources(baseUrl: string, options: OptimadeOptions = {}): AsyncGenerator<ByteSource> {
  let url: URL | undefined = firstPage(baseUrl, options.pageLimit ?? 100);
  const seen = new Set<string>();
  for (let page = 0; url; page++) {
    if (seen.has(url.href))
      throw new Error(
        `structures/optimade: page ${page} of '${baseUrl}' is '${url.href}' again; links.next must lead on`,
      );
    seen.add(url.href);
    const address: URL = url;
    let fetched: Page | undefined = await fetchPage(address, options);
    const { next } = fetched;
    yield {
      name: `${address.host}${address.pathname}/page-${String(page).padStart(6, '0')}.json`,
      async *open() {
        const { text } = fetched ?? (await fetchPage(address, options));
        // Pages are not kept: a database has more of them than memory.
        fetched = undefined;
        yield Buffer.from(text);
      },
    };
    fetched = undefined;
    url = next;
  }
}

function firstPage(baseUrl: string, pageLimit: number): URL {
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw new Error(
      `structures/optimade: '${baseUrl}' is not a URL; something like https://example.org/optimade is needed`,
    );
  }
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = /\/structures$/.test(path)
    ? path
    : /\/v\d+(\.\d+)*$/.test(path)
      ? `${path}/structures`
      : `${path}/v1/structures`;
  const defaults = { response_format: 'json', response_fields: FIELDS, page_limit: String(pageLimit) };
  for (const [name, value] of Object.entries(defaults))
    if (!url.searchParams.has(name)) url.searchParams.set(name, value);
  return url;
}

interface Page {
  text: string;
  /** Where the next page is; undefined on the last one. */
  next: URL | undefined;
}

async function fetchPage(url: URL, { signal, attempts = 6, backoff = 500 }: OptimadeOptions): Promise<Page> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    let problem: string;
    let wait = Math.min(LONGEST_WAIT, backoff * 2 ** (attempt - 1));
    try {
      const response = await fetch(url, { signal, headers: { accept: 'application/vnd.api+json, application/json' } });
      const text = await response.text();
      if (response.ok) {
        const body = responseOf(text);
        if (body) return { text, next: nextPage(body, url) };
        throw new Fatal(`answered without a 'data' list; an OPTIMADE response is needed`);
      }
      problem = `answered ${response.status} ${response.statusText}`.trim();
      if (response.status !== 429 && response.status < 500) throw new Fatal(problem);
      wait = retryAfter(response.headers.get('retry-after')) ?? wait;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Fatal) throw new Error(`structures/optimade: ${url.href} ${error.message}`);
      // fetch reports a broken connection as a TypeError whose cause says what broke.
      if (!(error instanceof TypeError)) throw error;
      problem = `failed: ${error.cause instanceof Error ? error.cause.message : error.message}`;
    }
    if (attempt >= attempts)
      throw new Error(`structures/optimade: ${url.href} ${problem}; gave up after ${attempts} attempts`);
    await sleep(wait, undefined, { signal });
  }
}

/** An answer that asking again will not change. */
class Fatal extends Error {}

interface OptimadeResponse {
  data: unknown[] | object;
  links?: { next?: string | { href?: string } | null } | null;
  meta?: { more_data_available?: unknown } | null;
}

function responseOf(text: string): OptimadeResponse | undefined {
  try {
    const value = JSON.parse(text) as Partial<OptimadeResponse> | null;
    return typeof value === 'object' && typeof value?.data === 'object' && value.data !== null
      ? (value as OptimadeResponse)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * `links.next` is a URL, relative or not, or an object with one; null or absent on the last page. A server that says whether there is
 * more must not be read short, nor past its end.
 */
function nextPage(body: OptimadeResponse, page: URL): URL | undefined {
  const next = body.links?.next;
  const href = typeof next === 'object' ? next?.href : next;
  const isMore = body.meta?.more_data_available;
  if (isMore === false) return undefined;
  if (isMore === true && !href)
    throw new Fatal(`says that more data is available and has no links.next; the address of the next page is needed`);
  return href ? new URL(href, page) : undefined;
}

/** Milliseconds asked for by a Retry-After header: seconds or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const wait = /^\d+$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.min(LONGEST_WAIT, Math.max(0, wait)) : undefined;
}
