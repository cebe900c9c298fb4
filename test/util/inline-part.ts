import assert from 'node:assert/strict';
import type { ContentPart, JobPart } from '../../src/chain/market/content.ts';

/** A part that holds its data itself. */
export function inlinePart(part: JobPart): ContentPart {
  assert('data' in part, 'the part is a blob');
  return part;
}
