/** Streams of lines and of server-sent events from a server that is not trusted to keep within bounds. */
import { NodeError } from '../../../errors.ts';

export interface StreamBounds {
  /** Of one line, and of the data of one event. */
  readonly maxLineBytes: number;
  readonly maxBodyBytes: number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = '\r';

/** Lines without their ends; the last may have none. @throws NodeError EXECUTOR beyond the bounds or when not UTF-8 */
export async function* readLines(body: AsyncIterable<Uint8Array>, bounds: StreamBounds): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let lineBytes = 0;
  let bodyBytes = 0;
  for await (const chunk of body) {
    bodyBytes += chunk.length;
    if (bodyBytes > bounds.maxBodyBytes) throw beyond('an answer', bounds.maxBodyBytes);
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      lineBytes += part.length;
      if (lineBytes > bounds.maxLineBytes) throw beyond('a line', bounds.maxLineBytes);
      parts.push(part);
      if (end === -1) break;
      yield lineText(parts);
      parts = [];
      lineBytes = 0;
      start = end + 1;
    }
  }
  if (lineBytes > 0) yield lineText(parts);
}

/** The data of each event (html.spec.whatwg.org, server-sent events); names, ids and comments are of no interest. */
export async function* readEvents(body: AsyncIterable<Uint8Array>, bounds: StreamBounds): AsyncGenerator<string> {
  let data: string[] = [];
  let size = 0;
  for await (const line of readLines(body, bounds)) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n');
      data = [];
      size = 0;
    } else if (line.startsWith('data:')) {
      const value = line.slice(line[5] === ' ' ? 6 : 5);
      // An empty line of data counts too, or there would be no bound on their number.
      size += value.length + 1;
      if (size > bounds.maxLineBytes) throw beyond('an event', bounds.maxLineBytes);
      data.push(value);
    }
  }
  if (data.length > 0) yield data.join('\n');
}

function lineText(parts: readonly Uint8Array[]): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
    return text.endsWith(CARRIAGE_RETURN) ? text.slice(0, -1) : text;
  } catch {
    throw new NodeError('EXECUTOR', 'the server sent text that is not UTF-8');
  }
}

function beyond(what: string, limit: number): NodeError {
  return new NodeError('EXECUTOR', `the server sent ${what} of more than ${limit} bytes`);
}
