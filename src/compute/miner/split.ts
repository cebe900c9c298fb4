/** Cutting output where credit ends. */

/** The longest head of at most so many bytes that cuts no character; a plain cut where none fits, for bytes are bytes. */
export function headWithin(bytes: Uint8Array, most: number): Uint8Array {
  if (most >= bytes.length) return bytes;
  if (most <= 0) return bytes.subarray(0, 0);
  let end = most;
  // UTF-8 characters go on for three bytes at most.
  for (let back = 0; back < 3 && end > 0 && isContinuation(bytes[end]); back++) end--;
  return bytes.subarray(0, end > 0 && !isContinuation(bytes[end]) ? end : most);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
