/** A server of Penstock's API that does wrong what it is told to. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import { Penstock, type PenstockOptions } from "../../dist/node.js";

/** What was asked. */
export interface Seen {
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
}

/** Answers one request. */
export type Handler = (seen: Seen, response: ServerResponse) => void | Promise<void>;

/** Answers requests in their order by `script`, and all after it by the last of it. */
export class FaultyServer {
  readonly seen: Seen[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #script: Handler[];

  private constructor(script: Handler[]) {
    this.#script = script;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async serving(script: Handler[]): Promise<FaultyServer> {
    const server = new FaultyServer(script);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A client of it that is in a hurry. */
  client(options: PenstockOptions = {}): Penstock {
    const pace = { firstPauseS: 0.001, longestPauseS: 0.002, quietS: 10 };
    return new Penstock({ url: this.url, apiKey: "psk_test_key", timeoutS: 10, retryForS: 20, pace, ...options });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const { pathname, searchParams } = new URL(request.url ?? "", this.url);
    const isJson = request.headers["content-type"] === "application/json";
    const body = (isJson ? JSON.parse(text) : { text }) as Record<string, unknown>;
    const seen = { verb: request.method ?? "", path: pathname, query: searchParams, headers: request.headers, body };
    this.seen.push(seen);
    const handler = this.#script.length > 1 ? this.#script.shift() : this.#script[0];
    await handler?.(seen, response);
  }
}

/** JSON, whole. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Handler {
  return (_, response) =>
    void response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** One of Penstock's errors. */
export function refuse(
  status: number,
  reason: string,
  headers: Record<string, string> = {},
  more: object = {},
): Handler {
  const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: "penstock.dev", ...more };
  const violations = (more as { fieldViolations?: unknown }).fieldViolations;
  const wrong =
    violations === undefined
      ? []
      : [{ "@type": "type.googleapis.com/google.rpc.BadRequest", fieldViolations: violations }];
  return json(
    { error: { code: status, status: "X", message: reason.toLowerCase(), details: [info, ...wrong] } },
    status,
    headers,
  );
}

/** The connection breaks with nothing said. */
export const reset: Handler = (_, response) => void response.socket?.resetAndDestroy();

/** Nothing comes. */
export const hang: Handler = () => undefined;

/** The headers, and half of the body; then the connection breaks. */
export function half(body: unknown): Handler {
  return (_, response) => {
    const text = JSON.stringify(body);
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": text.length });
    response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
  };
}

/**
 * A `fetch` whose answers break: the first after so many bytes, and so on; those after them, and JSON, are whole.
 *
 * A connection that breaks takes with it what was not read yet, so a server cannot say after how many bytes it is.
 */
export function breaking(...after: number[]): typeof fetch {
  return async (input, init) => {
    const answer = await fetch(input, init);
    if (answer.body === null || !answer.ok || answer.headers.get("Content-Type") === "application/json") return answer;
    const reader = answer.body.getReader();
    let left = after.shift() ?? Infinity;
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          if (left === 0) return controller.error(new TypeError("terminated"));
          const { done, value } = await reader.read();
          if (done) return controller.close();
          controller.enqueue(value.subarray(0, left));
          left -= Math.min(left, value.length);
        },
        cancel: () => reader.cancel(),
      },
      { highWaterMark: 0 },
    );
    return new Response(body, answer);
  };
}

/** A stream of server-sent events, which ends or goes on in silence. */
export function events(text: string, then: "ends" | "is silent" = "ends"): Handler {
  return (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(text, () => then === "ends" && response.end());
  };
}

/** A job as an event of a stream. */
export function event(job: { revision: string; state: string }): string {
  return `id: ${job.revision}\nevent: ${job.state.toLowerCase()}\ndata: ${JSON.stringify(job)}\n\n`;
}

/** Runs `use` with a server, and closes it whatever happens. */
export async function withServer(script: Handler[], use: (server: FaultyServer) => Promise<void>): Promise<void> {
  const server = await FaultyServer.serving(script);
  try {
    await use(server);
  } finally {
    await server.close();
  }
}
