/** Server-sent events (WHATWG HTML, 9.2). */

/** An event, or the sign of life that a comment is. */
export interface ServerSentEvent {
  /** The stream's last event id: where a client goes on. Empty before the first. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Parses a stream as it comes, whatever its chunks are. */
export class EventParser {
  readonly #decoder = new TextDecoder("utf-8");
  #rest = "";
  #id = "";
  #event = "";
  #data: string[] = [];

  /** The events that a chunk completes; one that is not yet whole is kept. */
  *feed(chunk: Uint8Array): Generator<ServerSentEvent> {
    this.#rest += this.#decoder.decode(chunk, { stream: true });
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest); // a CR at the very end may be the first half of CRLF
      if (end === null) return;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const event = this.#line(line);
      if (event !== undefined) yield event;
    }
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined; // comments, `retry` and what is unknown say nothing of a job
  }

  #dispatch(): ServerSentEvent | undefined {
    const event = { id: this.#id, event: this.#event || "message", data: this.#data.join("\n") };
    const empty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    return empty ? undefined : event;
  }
}
