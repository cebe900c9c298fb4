/** SHA-256 of messages and of pairs, by OpenSSL, which none of the tree code uses; roots of lists, hashed one by one. */
import { createHash } from 'node:crypto';
import { concatBytes, toHex } from '../../src/bytes.ts';

function sha256(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(bytes).digest());
}

function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) % 256);
}

/** The rule of the list root in its simplest form: pairs upwards, an odd last item unchanged, then the count. */
function rootOf(items: readonly Uint8Array[]): Uint8Array {
  let level = items;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const pair = level.slice(i, i + 2);
      next.push(pair.length === 2 ? sha256(concatBytes(pair)) : concatBytes(pair));
    }
    level = next;
  }
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, items.length);
  return sha256(concatBytes([count, level[0] ?? new Uint8Array(32)]));
}

export function hashVectors() {
  const messages = [0, 1, 3, 31, 32, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 200, 1000].map(pattern);
  const levels = [0, 1, 2, 3, 4, 15, 16, 17].map((pairs) => pattern(pairs * 64));
  const lists = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13].map((count) =>
    Array.from({ length: count }, (_, i) => sha256(pattern(i + 1))),
  );
  return {
    messages: messages.map((message) => ({ message: toHex(message), hash: toHex(sha256(message)) })),
    pairs: levels.map((input) => {
      const hashes: Uint8Array[] = [];
      for (let at = 0; at < input.length; at += 64) hashes.push(sha256(input.subarray(at, at + 64)));
      return { input: toHex(input), output: toHex(concatBytes(hashes)) };
    }),
    listRoots: lists.map((items) => ({ items: items.map((item) => toHex(item)), root: toHex(rootOf(items)) })),
  };
}
