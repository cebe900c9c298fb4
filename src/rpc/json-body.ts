/** JSON of requests: bounded depth before it is parsed, and no keys that reach into prototypes. */
import { NodeError } from '../errors.ts';

/** The deepest form we take has 4 levels. */
export const MAX_JSON_DEPTH = 16;

/** @throws NodeError PARSE_ERROR */
export function parseJsonBody(text: string): unknown {
  checkDepth(text);
  try {
    return JSON.parse(text, refusePrototypeKeys) as unknown;
  } catch (error) {
    if (error instanceof NodeError) throw error;
    // Not as a cause: what the parser says quotes the body, which may be a prompt, and causes are logged.
    throw new NodeError('PARSE_ERROR', 'the body is not JSON');
  }
}

function refusePrototypeKeys(key: string, value: unknown): unknown {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
    throw new NodeError('PARSE_ERROR', `the body has a key "${key}", which no request has`);
  }
  return value;
}

/** Brackets outside of strings, without parsing: a parser that recurses must not see deep input at all. */
function checkDepth(text: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === 0x5c) i++;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) {
      inString = true;
    } else if (char === 0x7b || char === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) {
        throw new NodeError('PARSE_ERROR', `the body is nested more than ${MAX_JSON_DEPTH} levels deep`);
      }
    } else if (char === 0x7d || char === 0x5d) {
      depth--;
    }
  }
}
