import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { optimadeSources, type OptimadeOptions } from '../../structures/optimade.js';
import { readStructures } from '../../structures/readers/read.js';

const entry = (id: string) => ({
  id,
  type: 'structures',
  attributes: {
    lattice_vectors: [
      [4, 0, 0],
      [0, 4, 0],
      [0, 0, 4],
    ],
    cartesian_site_positions: [
      [0, 0, 0],
      [2, 2, 2],
    ],
    species_at_sites: ['Na', 'Cl'],
    species: [
      { name: 'Na', chemical_symbols: ['Na'], concentration: [1] },
      { name: 'Cl', chemical_symbols: ['Cl'], concentration: [1] },
    ],
    dimension_types: [1, 1, 1],
  },
});

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

/** A database of 25 structures; `fail` may answer instead of it. */
async function serve(
  fail: (request: IncomingMessage, response: ServerResponse, count: number) => boolean,
): Promise<{ base: string; requests: URL[] }> {
  const requests: URL[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url!, `http://${request.headers.host}`);
    requests.push(url);
    if (fail(request, response, requests.length)) return;
    if (!url.pathname.endsWith('/v1/structures')) return void response.writeHead(404).end('{}');
    const limit = Math.min(10, Number(url.searchParams.get('page_limit')));
    const offset = Number(url.searchParams.get('page_offset') ?? 0);
    const data = Array.from({ length: Math.max(0, Math.min(limit, 25 - offset)) }, (_, i) => entry(`db/${offset + i}`));
    const next = new URL(url);
    next.searchParams.set('page_offset', String(offset + limit));
    // Both spellings of a link that the specification allows, and null at the end.
    const link = offset + limit >= 25 ? null : offset === 0 ? next.href : { href: `${next.pathname}${next.search}` };
    response.setHeader('content-type', 'application/vnd.api+json');
    response.end(JSON.stringify({ data, links: { next: link }, meta: {} }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

async function idsOf(base: string, options: OptimadeOptions = {}): Promise<{ ids: string[]; names: string[] }> {
  const ids: string[] = [];
  const names: string[] = [];
  for await (const source of optimadeSources(base, { backoff: 1, ...options })) {
    names.push(source.name);
    for await (const item of readStructures(source))
      ids.push('structure' in item ? item.structure.materialId : item.rejection.message);
  }
  return { ids, names };
}
const all = Array.from({ length: 25 }, (_, i) => `db/${i}`);

test.each(['', '/', '/v1', '/v1/', '/v1/structures', '/optimade', '/optimade/v1/structures?filter=nelements=2'])(
  'all pages of a database are read from its base URL with "%s"',
  async (suffix) => {
    const { base, requests } = await serve(() => false);
    const { ids, names } = await idsOf(`${base}${suffix}`, { pageLimit: 10 });
    expect(ids).toEqual(all);
    expect(names).toHaveLength(3);
    expect(new Set(names).size).toBe(3);
    expect(
      requests.every((url) => url.pathname.endsWith('/v1/structures') && url.searchParams.get('page_limit') === '10'),
    ).toBe(true);
    if (suffix.includes('filter'))
      expect(requests.every((url) => url.searchParams.get('filter') === 'nelements=2')).toBe(true);
  },
);

test('a server that fails, is busy or breaks the connection now and then is asked again', async () => {
  const { base, requests } = await serve((request, response, count) => {
    if (count % 4 === 1) response.writeHead(503).end();
    else if (count % 4 === 2) response.writeHead(429, { 'retry-after': '0' }).end();
    else if (count % 4 === 3) request.socket.destroy();
    else return false;
    return true;
  });
  expect((await idsOf(base, { pageLimit: 10 })).ids).toEqual(all);
  expect(requests).toHaveLength(12);
});

test('Retry-After decides how long to wait, not the backoff', async () => {
  const { base } = await serve((_, response, count) => {
    if (count === 1) response.writeHead(429, { 'retry-after': new Date().toUTCString() }).end();
    if (count === 2) response.writeHead(503, { 'retry-after': '0' }).end();
    return count <= 2;
  });
  // An hour of backoff would outlast the test.
  expect((await idsOf(base, { backoff: 3_600_000 })).ids).toHaveLength(25);
});

test('a source can be opened twice', async () => {
  const { base } = await serve(() => false);
  for await (const source of optimadeSources(base)) {
    const texts: string[] = [];
    for (let time = 0; time < 2; time++) {
      let text = '';
      for await (const chunk of source.open()) text += Buffer.from(chunk).toString();
      texts.push(text);
    }
    expect(texts[1]).toBe(texts[0]);
  }
});

test('after the attempts the error names the URL and the status', async () => {
  const { base, requests } = await serve((_, response) => Boolean(response.writeHead(500).end()));
  await expect(idsOf(base, { attempts: 3 })).rejects.toThrow(
    /structures\/optimade: http:.*\/v1\/structures.* answered 500 .*gave up after 3 attempts/,
  );
  expect(requests).toHaveLength(3);
});

test('a status that no retry mends is an error at once', async () => {
  const { base, requests } = await serve((_, response) => Boolean(response.writeHead(404).end()));
  await expect(idsOf(base)).rejects.toThrow(/answered 404/);
  expect(requests).toHaveLength(1);
});

test('an answer that is no OPTIMADE response is an error', async () => {
  const { base } = await serve((_, response) => Boolean(response.end('<html>')));
  await expect(idsOf(base)).rejects.toThrow(/without a 'data' list/);
});

test('a link that leads back is an error, not a loop', async () => {
  const { base } = await serve((request, response) =>
    Boolean(response.end(JSON.stringify({ data: [], links: { next: request.url } }))),
  );
  await expect(idsOf(base)).rejects.toThrow(/links\.next must lead on/);
});

test('an abort ends the waiting', async () => {
  const { base } = await serve((_, response) => Boolean(response.writeHead(503).end()));
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  await expect(idsOf(base, { backoff: 60_000, signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' });
});

test('what is no URL is refused with an example', async () => {
  await expect(idsOf('optimade')).rejects.toThrow(/'optimade' is not a URL/);
});

test.each<[string, unknown, unknown, RegExp | string[]]>([
  [
    'has more without a link is an error',
    { more_data_available: true },
    null,
    /says that more data is available and has no links\.next/,
  ],
  ['has no more is not asked again, though it links on', { more_data_available: false }, { href: '?page=2' }, ['db/0']],
])('a server that says it %s', async (_, meta, next, expected) => {
  const { base, requests } = await serve((__, response) => {
    response.setHeader('content-type', 'application/vnd.api+json');
    response.end(JSON.stringify({ data: [entry('db/0')], links: { next }, meta }));
    return true;
  });
  if (expected instanceof RegExp) await expect(idsOf(base)).rejects.toThrow(expected);
  else expect((await idsOf(base)).ids).toEqual(expected);
  expect(requests).toHaveLength(1);
});
