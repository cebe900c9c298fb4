/** `npm run bundle`: the light client of src/sdk/browser.ts as one file for pages, dist/browser/verify.js. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, stop } from 'esbuild-wasm';

const ENTRY = fileURLToPath(new URL('../src/sdk/browser.ts', import.meta.url));
const TARGET = new URL('../dist/browser/verify.js', import.meta.url);

/** One module without imports, for browsers of 2024 and later. */
export async function bundleVerifier(): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [ENTRY],
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2024',
      write: false,
      logLevel: 'silent',
    });
    return outputFiles[0]?.text ?? '';
  } finally {
    await stop();
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
