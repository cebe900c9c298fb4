/** What commands read from the chain, verified or believed: see src/cli/verification.ts. */
import type { Address } from '../bytes.ts';
import { fromHex, toHex } from '../bytes.ts';
import { formatAddress, parseAddress } from '../chain/address.ts';
import type { ComputeParams } from '../chain/modules/compute/params.ts';
import { computeParamsFromJson, getComputeParams } from '../chain/modules/compute/params.ts';
import type { JsonObject } from '../chain/modules/types.ts';
import { receiptCodeName } from '../chain/receipt.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import { NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import { agreementView, stakeView } from '../rpc/market-views.ts';
import { validatorsView } from '../rpc/views.ts';
import type { AgreementResponse, StakeResponse } from '../sdk/market-types.ts';
import type {
  AccountResponse,
  BlockResponse,
  HeadResponse,
  TransactionResponse,
  ValidatorsResponse,
} from '../sdk/types.ts';
import type { VerifiedTransaction } from '../sdk/verify.ts';
import { checkBlockAnswer } from '../sdk/verify-block.ts';
import type { Context } from './context.ts';
import { plural } from './output.ts';
import { isVerifying, startVerification } from './verification.ts';

/** In the order asked. */
export async function readAccounts(context: Context, addresses: readonly string[]): Promise<AccountResponse[]> {
  const verification = await startVerification(context);
  if (!verification) {
    const client = context.client();
    return Promise.all(addresses.map((address) => client.account(address)));
  }
  const accounts: AccountResponse[] = [];
  let last;
  for (const text of addresses) {
    const address = parseAddress(text);
    const { account, block } = await verification.client.account(address);
    const { balanceUait, nonce } = account;
    const { height } = block.header;
    accounts.push({ address: formatAddress(address), balance_uait: String(balanceUait), nonce, height });
    last = block;
  }
  if (last) await verification.finish(plural(accounts.length, 'account'), last);
  return accounts;
}

export async function readTransaction(context: Context, hash: string): Promise<TransactionResponse> {
  const verification = await startVerification(context);
  if (!verification) return context.client().transaction(hash);
  const found = await verification.client.transaction(fromHex(hash, 32));
  if ('unproven' in found) {
    context.out.note('not verified: only what is final can be proven');
    return found.unproven;
  }
  await verification.finish('transaction and receipt', found.block);
  return transactionAnswer(found);
}

/** As a node would tell it. */
export function transactionAnswer({ transaction, receipt, height, index }: VerifiedTransaction): TransactionResponse {
  const { code } = receipt;
  return {
    hash: toHex(transaction.id),
    status: 'final',
    height,
    index,
    code,
    code_name: receiptCodeName(code) ?? null,
    reason: code === 0 ? null : 'it failed: fee and nonce were taken, nothing else changed',
    transaction: transactionToJson(transaction),
  };
}

export async function readHead(context: Context): Promise<HeadResponse> {
  if (!isVerifying(context)) return context.client().head();
  const { chain_id, height, hash, timestamp, tx_count, state_root, proposer, round } = await readBlock(
    context,
    'latest',
  );
  return { chain_id, height, hash, timestamp, tx_count, state_root, proposer, round };
}

/** @param id height, hash in hex, or "latest" */
export async function readBlock(context: Context, id: string): Promise<BlockResponse> {
  const verification = await startVerification(context);
  if (!verification) {
    const believed = context.client();
    return believed.block(id === 'latest' ? (await believed.head()).height : id);
  }
  const light = verification.client;
  const client = context.client(light.rules.chain.chainId);
  const { height: head } = await light.update();
  if (id === 'latest' && head === 0) throw new NodeError('NOT_FOUND', 'there is no block yet');
  const answer = await client.block(id === 'latest' ? head : id);
  const block = await light.block(answer.height);
  checkBlockAnswer(nativeCrypto, block, answer);
  const asked = /^[0-9a-f]{64}$/.test(id) ? answer.hash === id : id === 'latest' || answer.height === Number(id);
  if (!asked) throw new NodeError('BAD_PROOF', 'the node answers with another block than the one asked for');
  await verification.finish('header and transactions (without their results)', block);
  return answer;
}

/** @param id hex @throws NodeError NOT_FOUND */
export async function readAgreement(context: Context, id: string): Promise<AgreementResponse> {
  const verification = await startVerification(context);
  if (!verification) return context.client().agreement(id);
  const { block, result } = await verification.client.read((state, height) =>
    agreementView(state, fromHex(id), height),
  );
  await verification.finish(result ? 'agreement' : 'that there is no such agreement', block);
  if (result) return result;
  throw new NodeError('NOT_FOUND', 'there is no such agreement: never opened, or closed longer ago than is kept', {
    data: { agreement: id },
  });
}

export async function readStake(context: Context, miner: Address): Promise<StakeResponse> {
  const verification = await startVerification(context);
  if (!verification) return context.client().stake(formatAddress(miner));
  const { block, result } = await verification.client.read((state, height) => stakeView(state, miner, height));
  await verification.finish('stake', block);
  return result;
}

export async function readMarketParams(context: Context): Promise<ComputeParams> {
  const verification = await startVerification(context);
  if (!verification) return computeParamsFromJson(await marketParamsJson(context));
  return (await verification.client.read(getComputeParams)).result;
}

async function marketParamsJson(context: Context): Promise<JsonObject> {
  return { ...(await context.client().marketParams()) };
}

export async function readValidators(context: Context): Promise<ValidatorsResponse> {
  const verification = await startVerification(context);
  if (!verification) return context.client().validators();
  const { block, result } = await verification.client.read(validatorsView);
  await verification.finish('validators and proposals', block);
  const { chainId, height } = block.header;
  return { chain_id: chainId, height, ...result } as unknown as ValidatorsResponse;
}
