/**
 * The same bytes as a plain Uint8Array. Libraries here hand out Node's Buffer, whose `slice` shares memory where
 * Uint8Array's copies, and which other code would have to know about.
 */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
