/** What happened to a job, as a node tells it: server-sent events, one a line of JSON. */
import { NodeError } from '../errors.ts';
import type { JobEventResponse } from './job-types.ts';

/** Of one event; a node's have a tenth of it. */
const MAX_EVENT_CHARS = 16 * 1024;

/** Until the node ends the stream. @throws NodeError PEER_PROTOCOL */
export async function* readJobEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<JobEventResponse> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const event = eventOf(text.slice(0, end));
        text = text.slice(end + 2);
        if (event) yield event;
      }
      if (text.length > MAX_EVENT_CHARS) throw malformed();
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** @returns null for what is no state of a job */
function eventOf(text: string): JobEventResponse | null {
  const lines = text.split('\n');
  if (!lines.includes('event: state')) return null;
  const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length) ?? '';
  try {
    return JSON.parse(data) as JobEventResponse;
  } catch (cause) {
    throw malformed(cause);
  }
}

function malformed(cause?: unknown): NodeError {
  return new NodeError('PEER_PROTOCOL', 'what the node tells of a job is no event', { cause });
}
