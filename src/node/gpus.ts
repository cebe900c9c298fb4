/** Which GPUs this machine has, as far as NVIDIA's own program tells. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MAX_OFFER_GPUS } from '../chain/market/offer.ts';

const TIMEOUT_MS = 3_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
const MAX_NAME = 160;

/** `NVIDIA H200, 143771 MiB`; nothing where there is no such program, or it fails. */
export async function findGpus(program = 'nvidia-smi'): Promise<string[]> {
  const args = ['--query-gpu=name,memory.total', '--format=csv,noheader'];
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES });
    return readGpus(stdout);
  } catch {
    return [];
  }
}

export function readGpus(text: string): string[] {
  return text
    .split('\n')
    .map((line) =>
      line
        .replace(/[^\x20-\x7e]/g, '')
        .trim()
        .slice(0, MAX_NAME),
    )
    .filter((line) => line !== '')
    .slice(0, MAX_OFFER_GPUS);
}
