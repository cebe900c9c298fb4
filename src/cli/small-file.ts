/** Small texts from files or stdin, read up to a bound: whoever names a file may be wrong about it. */
import { open } from 'node:fs/promises';
import type { ErrorCode } from '../errors.ts';
import { NodeError } from '../errors.ts';

/**
 * @param path "-" is stdin
 * @param code of the failure when it cannot be read or has more than `maxBytes`
 */
export async function readSmallText(
  path: string,
  maxBytes: number,
  what: string,
  code: ErrorCode = 'KEY_FILE',
): Promise<string> {
  const bytes = path === '-' ? await readStdin(maxBytes + 1) : await readFile(path, maxBytes + 1, what, code);
  if (bytes.length > maxBytes) {
    throw new NodeError(code, `${path} is too large to be ${what}`, { data: { path, maxBytes } });
  }
  return bytes.toString('utf8');
}

async function readFile(path: string, maxBytes: number, what: string, code: ErrorCode): Promise<Buffer> {
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new NodeError(code, `cannot read ${what}: ${path}`, {
      data: { path },
      hint: 'check the name of the file, and that you may read it',
      cause: error,
    });
  }
}

async function readStdin(maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes);
}
