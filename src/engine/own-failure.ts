/** What fails here without being a judgement on a block. */
import { isNodeError } from '../errors.ts';

/** A disk that fails, or a fault of this program. Nothing may go on after it. */
export function isOwnFailure(error: unknown): boolean {
  return !isNodeError(error) || error.code === 'STORAGE' || error.code === 'CORRUPT';
}
