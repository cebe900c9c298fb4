/** `npm run bundle`: the light client of src/sdk/browser.ts as one file for pages, dist/browser/verify.js. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const ENTRY = fileURLToPath(new URL('../src/sdk/browser.ts', import.meta.url));
const TARGET = new URL('../dist/browser/verify.js', import.meta.url);

/** One module without imports. */
export async function bundleVerifier(): Promise<string> {
  const bundle = await rolldown({ input: ENTRY, platform: 'browser', logLevel: 'silent' });
  try {
    const { output } = await bundle.generate({ format: 'esm', minify: true });
    return output[0].code;
  } finally {
    await bundle.close();
  }
}

export function compressedBytes(code: string): number {
  return gzipSync(code, { level: 9 }).length;
}

if (import.meta.main) {
  const code = await bundleVerifier();
  mkdirSync(new URL('.', TARGET), { recursive: true });
  writeFileSync(TARGET, code);
  console.log(`${fileURLToPath(TARGET)}: ${code.length} bytes, ${compressedBytes(code)} compressed`);
}
