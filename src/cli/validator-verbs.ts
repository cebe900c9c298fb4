/** What the verbs of `aitbc validator` do: who validates, and the votes that change it. */
import { fromHex, toHex } from '../bytes.ts';
import { parseAddress } from '../chain/address.ts';
import type { Signer } from '../chain/crypto/types.ts';
import type { Change } from '../chain/modules/validators-state.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { buildProposal, buildVote, chainOfStatus, validatorKeyProof } from '../sdk/build.ts';
import type { ProposalResponse, StatusResponse, ValidatorsResponse } from '../sdk/types.ts';
import { readKeyFile } from '../store/key-file.ts';
import type { Context } from './context.ts';
import { readChain } from './genesis-file.ts';
import { fields, plural, shortHash, table } from './output.ts';
import { readValidators } from './reads.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey } from './signer.ts';
import type { TransactOptions } from './transact.ts';
import { transact } from './transact.ts';
import { ownValidatorKey } from './validator-key.ts';

export type TxCommandOptions = KeyOptions & TransactOptions;

export interface AddOptions extends TxCommandOptions {
  readonly operator: string;
  readonly proof?: string;
  readonly name: string;
}

export interface RotateOptions extends TxCommandOptions {
  readonly proof: string;
}

export async function list(context: Context): Promise<void> {
  const answer = await readValidators(context);
  context.out.data(answer, describe(answer));
}

function describe({ height, current, next, proposals }: ValidatorsResponse): string {
  const rows = current.validators.map(({ name, public_key, power, operator }) => [name, public_key, power, operator]);
  const keys = new Set(current.validators.map(({ public_key }) => public_key));
  const coming = next.validators.filter(({ public_key }) => !keys.has(public_key));
  const nextKeys = new Set(next.validators.map(({ public_key }) => public_key));
  const leaving = current.validators.filter(({ public_key }) => !nextKeys.has(public_key));
  return [
    table(['NAME', 'KEY', 'POWER', 'OPERATOR'], rows),
    ...coming.map(({ name, public_key }) => `from block ${height + 2} on: ${name} ${public_key}`),
    ...leaving.map(({ name, public_key }) => `until block ${height + 1}: ${name} ${public_key}`),
    '',
    proposals.length === 0
      ? 'No open proposals.'
      : table(['PROPOSAL', 'CHANGE', 'POWER FOR IT', 'UNTIL'], proposals.map(proposalRow)),
  ].join('\n');
}

function proposalRow(proposal: ProposalResponse): (string | number)[] {
  const { id, action, key, new_key, voted_power, total_power, expires_at_height } = proposal;
  const change =
    new_key === undefined ? `${action} ${shortHash(key)}` : `${action} ${shortHash(key)} to ${shortHash(new_key)}`;
  return [id, change, `${voted_power} of ${total_power}`, expires_at_height];
}

export async function show(context: Context, given: string | undefined): Promise<void> {
  const own = given === undefined ? await ownValidatorKey(context.layout().validatorKey) : null;
  if (given === undefined && !own) {
    throw new NodeError('NOT_FOUND', `there is no validator key in ${context.home}`, { hint: 'give a key, or --home' });
  }
  const key = given ?? toHex(own?.publicKey ?? new Uint8Array());
  const { current, next, height } = await readValidators(context);
  const now = current.validators.find(({ public_key }) => public_key === key);
  const then = next.validators.find(({ public_key }) => public_key === key);
  const found = now ?? then;
  const document = { public_key: key, height, validates: now !== undefined, validates_next: then !== undefined };
  context.out.data(
    { ...document, name: found?.name ?? null, power: found?.power ?? null, operator: found?.operator ?? null },
    fields([
      ['key', key],
      ['validates', now ? 'yes' : then ? `from block ${height + 2} on` : 'no'],
      ['name', found?.name ?? null],
      ['power', found ? `${found.power} of ${(now ? current : next).total_power}` : null],
      ['operator', found?.operator ?? null],
    ]),
  );
}

export async function prove(
  context: Context,
  options: { readonly operator: string; readonly keyFile?: string },
): Promise<void> {
  const layout = context.layout();
  const signer = await validatorSigner(context, options.keyFile);
  const local = await readChain(layout.genesis, layout.chainId);
  const chain = local ?? chainOfStatus(await context.status()).chain;
  const proof = toHex(validatorKeyProof(chain, signer, parseAddress(options.operator)));
  const key = toHex(signer.publicKey);
  context.out.data(
    { chain_id: chain.chainId, public_key: key, operator: options.operator, proof },
    `aitbc validator propose add ${key} --operator ${options.operator} --proof ${proof}`,
  );
}

async function validatorSigner(context: Context, keyFile?: string): Promise<Signer> {
  if (keyFile !== undefined) return createNativeSigner(await readKeyFile(keyFile));
  const path = context.layout().validatorKey;
  const signer = await ownValidatorKey(path);
  if (signer) return signer;
  throw new NodeError('NOT_FOUND', `there is no validator key at ${path}`, {
    data: { path },
    hint: 'give --home of the node that shall validate, or its key and proof',
  });
}

export async function proposeAdd(context: Context, given: string | undefined, options: AddOptions): Promise<void> {
  const operator = parseAddress(options.operator);
  const { name } = options;
  if (given !== undefined) {
    if (options.proof === undefined) {
      throw new NodeError('USAGE', '--proof is missing', {
        hint: `on the node of that key: aitbc validator prove --operator ${options.operator}`,
      });
    }
    const proof = hex(options.proof, 64, '--proof');
    const change: Change = { kind: 'add', publicKey: publicKey(given), operator, name, proof };
    await proposeChange(context, () => change, options);
    return;
  }
  const signer = await validatorSigner(context);
  await proposeChange(
    context,
    (status) => {
      const proof = validatorKeyProof(chainOfStatus(status).chain, signer, operator);
      return { kind: 'add', publicKey: signer.publicKey, operator, name, proof };
    },
    options,
  );
}

export async function proposeRemove(context: Context, key: string, options: TxCommandOptions): Promise<void> {
  const change: Change = { kind: 'remove', publicKey: publicKey(key) };
  await proposeChange(context, () => change, options);
}

export async function proposeRotate(context: Context, from: string, to: string, options: RotateOptions): Promise<void> {
  const change: Change = {
    kind: 'rotate',
    publicKey: publicKey(from),
    newKey: publicKey(to),
    proof: hex(options.proof, 64, '--proof'),
  };
  await proposeChange(context, () => change, options);
}

async function proposeChange(
  context: Context,
  changeOf: (status: StatusResponse) => Change,
  options: TxCommandOptions,
): Promise<void> {
  const status = await context.status();
  const change = changeOf(status);
  const key = await chooseKey(context, options, status.chain_id);
  await transact(
    context,
    status,
    key,
    {
      build: (signing, txOptions) => buildProposal(signing, txOptions, change),
      summary: [`propose  ${change.kind} ${toHex(change.publicKey)}`],
      spendsUait: 0,
    },
    options,
  );
  if (options.unsigned !== true) await noteProposals(context);
}

export async function vote(context: Context, id: number, options: TxCommandOptions): Promise<void> {
  const status = await context.status();
  const key = await chooseKey(context, options, status.chain_id);
  await transact(
    context,
    status,
    key,
    {
      build: (signing, txOptions) => buildVote(signing, txOptions, id),
      summary: [`vote     for proposal ${id}`],
      spendsUait: 0,
    },
    options,
  );
  if (options.unsigned !== true) await noteProposals(context);
}

/** Says what is open now; the transaction is done whether or not this can be said. */
async function noteProposals(context: Context): Promise<void> {
  try {
    const { proposals } = await readValidators(context);
    const ids = proposals.map(({ id, voted_power, total_power }) => `${id} (${voted_power} of ${total_power})`);
    context.out.note(
      ids.length === 0 ? 'No open proposals.' : `${plural(ids.length, 'open proposal')}: ${ids.join(', ')}`,
    );
  } catch (error) {
    if (!isNodeError(error)) throw error;
  }
}

function publicKey(text: string): Uint8Array {
  return hex(text, 32, 'a validator key');
}

function hex(text: string, bytes: number, what: string): Uint8Array {
  try {
    return fromHex(text, bytes);
  } catch (error) {
    throw new NodeError('USAGE', `${what} is ${bytes} bytes in lower-case hex`, { cause: error });
  }
}
