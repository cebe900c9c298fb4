import { readFileSync } from 'node:fs';

/** The content of a vector file of this folder. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`./${name}.json`, import.meta.url), 'utf8')) as T;
}
