import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What happens to a request:
 * - `pass`: it reaches the server and its answer comes back
 * - `busy`: 503 SlowDown; the server never sees it
 * - `reset`: the connection is reset; the server never sees it
 * - `hang`: no answer, for ever; the server never sees it
 * - `lose`: the server does it, then the connection is reset instead of the answer
 * - `swallow`: the server does it, and no answer comes, for ever
 * - `cut`: the connection is reset after the first bytes of the answer's body
 * - `stall`: silence, for ever, after the first bytes of the answer's body
 * - a status and an S3 error code: that answer; the server never sees the request
 */
export type Fault =
  'pass' | 'busy' | 'reset' | 'hang' | 'lose' | 'swallow' | 'cut' | 'stall' | { status: number; code: string };

/** A request as a proxy sees it. */
export interface SeenRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingMessage['headers'];
}

/** How a proxy behaves. */
export interface FaultProxyOptions {
  /** Every answer comes this much later, milliseconds; requests do not wait for each other. Default 0. */
  latencyMs?: number;
  /** Fault of a request, asked once for each in the order in which they arrive; a promise holds the request up. Default: all pass. */
  faultOf?: (request: SeenRequest) => Fault | Promise<Fault>;
  /** Bytes of an answer's body that come through before `cut` and `stall`. Default 10. */
  bytesBeforeFault?: number;
}

/** A running proxy. */
export interface FaultProxy {
  /** `http://127.0.0.1:<port>`; to be given to a client as its endpoint. */
  url: string;
  /** Requests so far with what happened to them, oldest first. */
  seen: (SeenRequest & { fault: Fault })[];
  /** Connections that clients have made so far. */
  readonly connections: number;
  /** Ends it with all its connections. */
  close(): Promise<void>;
}

/**
 * An HTTP proxy that makes a good server answer late, badly or not at all. Headers pass as they came, the host included, since S3
 * clients sign it.
 * @param target URL of the server
 */
export async function startFaultProxy(target: string, options: FaultProxyOptions = {}): Promise<FaultProxy> {
  const { latencyMs = 0, faultOf = () => 'pass', bytesBeforeFault = 10 } = options;
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  const seen: FaultProxy['seen'] = [];

  const answer = async (onward: IncomingMessage, incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault) => {
    if (latencyMs > 0) await sleep(latencyMs);
    if (fault === 'lose' || fault === 'swallow') {
      onward.resume();
      if (fault === 'lose') onward.once('end', () => incoming.socket.resetAndDestroy());
      return;
    }
    delete onward.headers.connection; // speaks of the connection behind the proxy
    outgoing.writeHead(onward.statusCode ?? 500, onward.headers);
    if (fault !== 'cut' && fault !== 'stall') {
      onward.pipe(outgoing);
      return;
    }
    let left = bytesBeforeFault;
    onward.on('data', (chunk: Buffer) => {
      if (left > 0) outgoing.write(chunk.subarray(0, left));
      left -= chunk.length;
    });
    if (fault === 'cut') onward.once('end', () => setTimeout(() => incoming.socket.resetAndDestroy(), 20));
  };

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method = '', url = '', headers } = incoming;
    const fault = await faultOf({ method, url, headers });
    seen.push({ method, url, headers, fault });
    if (fault === 'hang') return;
    if (fault === 'reset') {
      incoming.socket.resetAndDestroy();
      return;
    }
    if (fault === 'busy' || typeof fault === 'object') {
      const { status, code } = fault === 'busy' ? { status: 503, code: 'SlowDown' } : fault;
      incoming.resume();
      incoming.once('end', () => {
        outgoing.writeHead(status, { 'content-type': 'application/xml' });
        outgoing.end(`<Error><Code>${code}</Code><Message>made by a test</Message></Error>`);
      });
      return;
    }
    const onward = request({ hostname, port, agent, method, path: url, headers }, (from) => {
      answer(from, incoming, outgoing, fault).catch(() => incoming.socket.destroy());
    });
    onward.on('error', () => incoming.socket.destroy());
    outgoing.on('close', () => outgoing.writableFinished || onward.destroy());
    incoming.pipe(onward);
  };
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  let connections = 0;
  server.on('connection', () => connections++);
  server.keepAliveTimeout = 0; // an idle client keeps its connection, as with a server far away
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    get connections() {
      return connections;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        agent.destroy();
      }),
  };
}

/** A server as it is from far away: every answer comes `latencyMs` later. */
export function delayingProxy(target: string, latencyMs: number): Promise<FaultProxy> {
  return startFaultProxy(target, { latencyMs });
}
