/** Files of a network and of the homes in it. */
import { join } from 'node:path';
import { utf8 } from '../../bytes.ts';
import type { JoinDocument } from '../../chain/join-document.ts';
import { joinDocumentToJson } from '../../chain/join-document-json.ts';
import { NodeError } from '../../errors.ts';
import { createFile } from '../../store/files.ts';
import { storageError } from '../../store/storage-error.ts';

export const BUNDLE_SUFFIX = '.bundle.json';

/** Where `network new` puts the bundle of a node. */
export function bundlePath(folder: string, name: string): string {
  return join(folder, `${name}${BUNDLE_SUFFIX}`);
}

/** As files of a home have it: with the genesis beside it, not in it. */
export function homeDocumentBytes(document: JoinDocument): Uint8Array {
  return jsonBytes(joinDocumentToJson({ ...document, genesis: null }));
}

export function jsonBytes(json: unknown): Uint8Array {
  return utf8(`${JSON.stringify(json)}\n`);
}

/** @throws NodeError KEY_EXISTS when there is such a file, STORAGE */
export async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const made = await createFile(path, bytes).catch((error: unknown) => {
    throw storageError(error, 'write', path);
  });
  if (made) return;
  throw new NodeError('KEY_EXISTS', `${path} is there already, and is not overwritten`, {
    data: { path },
    hint: 'name another place',
  });
}
