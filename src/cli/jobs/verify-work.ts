/** `aitbc job verify`: a receipt, what was paid for it, and the work done once more where this machine can. */
import { dirname, join } from 'node:path';
import { equalBytes, toHex } from '../../bytes.ts';
import type { WorkDocument } from '../../chain/market/work-json.ts';
import { MAX_WORK_CHARACTERS, workFromJson, workToJson } from '../../chain/market/work-json.ts';
import type { Json } from '../../chain/modules/types.ts';
import { openBlob } from '../../compute/blobs/cipher.ts';
import type { BlobReader, ReplayVerdict } from '../../compute/coordinator/replay.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { agreementOf } from '../../sdk/market-reads.ts';
import { parseReceipt } from '../../sdk/receipt.ts';
import { blobFiles } from '../../store/blob-files.ts';
import { replaceFile } from '../../store/files.ts';
import { formatAit } from '../amount.ts';
import type { Context } from '../context.ts';
import { requireMeantChain } from '../deliver.ts';
import { readAgreement } from '../reads.ts';
import { readSmallText } from '../small-file.ts';
import { keptReceipt } from './read-jobs.ts';
import { replayHere, replayJson, replayLine, wrongResult } from './replay.ts';
import type { FoundRun } from './runs.ts';
import { BLOBS_FOLDER, findRun, jsonBytes, readKept, RESULT_FILE, WORK_FILE } from './runs.ts';
import { checkReceipt, describe, describeJson } from './verify-receipt.ts';

const PROOF_FILE = 'proof.json';

/**
 * A job of this home: receipt, answer and money together, and its work again.
 *
 * @throws NodeError BAD_RECEIPT | WRONG_RESULT | NOT_FOUND | what the node says
 */
export async function verifyJob(context: Context, id: string, replays: boolean): Promise<void> {
  const run = await findRun(context.home, id);
  const document = parseReceipt(nativeCrypto, JSON.stringify(await keptReceipt(run)));
  const output = await readKept(run, RESULT_FILE);
  const answer = await readAgreement(context, toHex(document.signed.receipt.agreement));
  const agreement = agreementOf(answer);
  const verified = checkReceipt(document, output, agreement);
  const work = replays ? await keptWork(context, run) : null;
  const verdict = work && (await replayHere(context, work, blobsBeside(run.folder)));
  const { state, paid_uait, refunded_uait } = answer;
  const text = `${describe(document, verified)}\nmoney      ${state}: paid ${formatAit(paid_uait)}, returned ${formatAit(refunded_uait)}`;
  const replay = verdict && replayJson(verdict);
  context.out.data({ ...describeJson(document, verified, true), state, paid_uait, refunded_uait, replay }, text);
  context.out.note('✓ Receipt valid, and about the answer that was kept.');
  if (!work || !verdict) return;
  const proof = join(run.folder, PROOF_FILE);
  if (verdict.result === 'different') {
    const json = workToJson(nativeCrypto, { ...work, replayedHash: verdict.outputHash });
    await replaceFile(proof, jsonBytes(json));
  }
  conclude(context, work, verdict, proof);
}

/**
 * Work in a file: a proof that a node or another client gave, or the record of a run of this program.
 *
 * @throws NodeError BAD_RECEIPT | WRONG_RESULT | INVALID_PARAMS
 */
export async function verifyWorkFile(context: Context, path: string, replays: boolean): Promise<void> {
  const work = readWork(await readSmallText(path, MAX_WORK_CHARACTERS, 'the work of a job', 'BAD_RECEIPT'));
  await requireMeantChain(context, work.receipt.chain);
  const verified = checkReceipt(work.receipt, null);
  const verdict = replays ? await replayHere(context, work, blobsBeside(dirname(path))) : null;
  const replay = verdict && replayJson(verdict);
  context.out.data({ ...describeJson(work.receipt, verified, false), replay }, describe(work.receipt, verified));
  context.out.note('✓ Receipt valid, and about this job and this input. What the chain paid was not asked.');
  if (!verdict) return;
  const { replayedHash } = work;
  if (replayedHash && verdict.outputHash && !equalBytes(replayedHash, verdict.outputHash)) {
    context.out.note('! Whoever made the file got another result than this machine: one of the two is wrong.');
  }
  conclude(context, work, verdict, path);
}

/** Of a run, or put beside a file: `blobs/<root>/`. Nothing there is changed. */
function blobsBeside(folder: string): BlobReader {
  const files = blobFiles(join(folder, BLOBS_FOLDER), nativeCrypto);
  return (ref) =>
    openBlob(ref, async (leaf) => {
      const bytes = await files.read(ref.root, leaf);
      if (bytes) return bytes;
      throw new NodeError('NOT_FOUND', `the input lies in ${BLOBS_FOLDER}/${toHex(ref.root)}, which is not here`);
    });
}

/** @throws NodeError WRONG_RESULT */
function conclude({ out }: Context, work: WorkDocument, verdict: ReplayVerdict, proof: string): void {
  out.note(replayLine(verdict));
  if (verdict.result === 'different') throw wrongResult(work, verdict, proof);
}

/** @returns null when the input was not kept */
async function keptWork({ out }: Context, run: FoundRun): Promise<WorkDocument | null> {
  try {
    return readWork(new TextDecoder().decode(await readKept(run, WORK_FILE)));
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'NOT_FOUND') throw error;
    out.note('· Its input was not kept here: whether the result is right cannot be found out.');
    return null;
  }
}

/** @throws NodeError BAD_RECEIPT | INVALID_PARAMS */
function readWork(text: string): WorkDocument {
  try {
    return workFromJson(nativeCrypto, JSON.parse(text) as Json);
  } catch (error) {
    if (isNodeError(error)) throw error;
    throw new NodeError('BAD_RECEIPT', 'it is not JSON', { hint: 'give a file that aitbc or a node wrote' });
  }
}
