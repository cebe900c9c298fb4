/** JSON of requests: bounded depth before it is parsed, and no keys that reach into prototypes. */
import { NodeError } from '../errors.ts';

/** The deepest form we take has 4 levels. */
export const MAX_JSON_DEPTH = 16;
const PROTOTYPE_KEYS: readonly string[] = ['__proto__', 'constructor', 'prototype'];

/** @throws NodeError PARSE_ERROR */
export function parseJsonBody(text: string): unknown {
  checkDepth(text);
  try {
    // A reviver makes parsing five times slower, and few bodies could hold what it looks for.
    return JSON.parse(text, mayReachPrototypes(text) ? refusePrototypeKeys : undefined) as unknown;
  } catch (error) {
    if (error instanceof NodeError) throw error;
    // Not as a cause: what the parser says quotes the body, which may be a prompt, and causes are logged.
    throw new NodeError('PARSE_ERROR', 'the body is not JSON');
  }
}

/** Spelt out or escaped. */
function mayReachPrototypes(text: string): boolean {
  return text.includes('\\') || PROTOTYPE_KEYS.some((key) => text.includes(key));
}

function refusePrototypeKeys(key: string, value: unknown): unknown {
  if (PROTOTYPE_KEYS.includes(key)) {
    throw new NodeError('PARSE_ERROR', `the body has a key "${key}", which no request has`);
  }
  return value;
}

/** Brackets outside of strings, without parsing: a parser that recurses must not see deep input at all. */
function checkDepth(text: string): void {
  if (hasFewBrackets(text)) return;
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

/** No more than may be nested, inside of strings or outside: most bodies, however long. */
function hasFewBrackets(text: string): boolean {
  let count = 0;
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (++count > MAX_JSON_DEPTH) return false;
    }
  }
  return true;
}
