/** Texts of people: u16 length, then UTF-8 that is well-formed. */
import { utf8 } from '../../bytes.ts';
import type { Reader, Writer } from '../codec.ts';

export function writeText(writer: Writer, text: string): Writer {
  return writer.bytes16(utf8(text));
}

/** @param maxBytes of UTF-8 @throws NodeError CODEC */
export function readText(reader: Reader, maxBytes: number): string {
  const bytes = reader.bytes16(maxBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw reader.reject('non-canonical');
  }
}
