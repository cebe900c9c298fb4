import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { addressOf, formatAddress } from '../../../src/chain/address.ts';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { proposeChange } from '../../../src/chain/modules/validators.ts';
import { leastFeeUait } from '../../../src/chain/params.ts';
import { txCheck } from '../../../src/chain/tx.ts';
import { encodeCertificate, decodeCertificate } from '../../../src/chain/votes.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { buildProposal, buildTransfer, buildVote, chainOfStatus, validatorKeyProof } from '../../../src/sdk/build.ts';
import type { Client } from '../../../src/sdk/client.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { StateProofResponse, AccountResponse } from '../../../src/sdk/types.ts';
import type { TrustedChain } from '../../../src/sdk/verify.ts';
import { validatorSetOf } from '../../../src/sdk/light-block.ts';
import { trustGenesis, verifyAccountProof } from '../../../src/sdk/verify.ts';
import { addressText, makeTransfer, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';

describe('light verification', () => {
  let node: FakeNode;
  let server: RpcServer;
  let client: Client;
  let trusted: TrustedChain;

  before(async () => {
    node = new FakeNode();
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
    client = createClient({ url: server.url });
    trusted = trustGenesis(pureCrypto, node.genesisJson, node.genesis.chain.genesisHash);
    for (let nonce = 0; nonce < 3; nonce++) {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'fresh', nonce, amountUait: 7 })]);
    }
  });

  after(() => server.close());

  it('proves an account from genesis alone, with pure code', async () => {
    const response = await client.account(addressText('fresh'), { proof: true });
    const { account, height } = verifyAccountProof(trusted, response);
    assert.deepEqual(account, { balanceUait: 21, nonce: 0 });
    assert.equal(height, 3);
  });

  it('proves that an account does not exist', async () => {
    const response = await client.account(addressText('nobody'), { proof: true });
    assert.equal(response.proof?.value, null);
    assert.deepEqual(verifyAccountProof(trusted, response).account, { balanceUait: 0, nonce: 0 });
  });

  it('takes the set of the height from a trusted node', async () => {
    const { last } = await client.validators();
    assert(last);
    const response = await client.account(addressText('account-0'), { proof: true });
    verifyAccountProof({ ...trusted, validatorSet: validatorSetOf(last) }, response);
  });

  it('refuses every lie', async () => {
    const good = await client.account(addressText('fresh'), { proof: true });
    const other = await client.account(addressText('account-1'), { proof: true });
    const { proof } = good;
    assert(proof && other.proof);
    const certificate = decodeCertificate(Uint8Array.from(Buffer.from(proof.certificate, 'hex')));
    const withProof = (change: Partial<StateProofResponse>): AccountResponse => ({
      ...good,
      proof: { ...proof, ...change },
    });
    const lies: [string, AccountResponse][] = [
      ['balance', { ...good, balance_uait: '22' }],
      ['nonce', { ...good, nonce: 1 }],
      ['height', { ...good, height: 4 }],
      ['another account', { ...good, address: other.address }],
      ['absence', { ...good, balance_uait: '0', proof: { ...proof, value: null } }],
      ['value', withProof({ value: other.proof.value })],
      ['state proof', withProof({ state_proof: other.proof.state_proof })],
      ['header', withProof({ header: proof.header.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')) })],
      ['fewer signatures', withProof({ certificate: toHex(encodeCertificate(cut(certificate, 1))) })],
      [
        'wrong signature',
        withProof({
          certificate: toHex(
            encodeCertificate({ ...certificate, signatures: certificate.signatures.map((s) => s.slice().reverse()) }),
          ),
        }),
      ],
      ['prevotes', withProof({ certificate: toHex(encodeCertificate({ ...certificate, type: 'prevote' })) })],
      ['not hex', withProof({ header: 'zz' })],
      ['truncated', withProof({ state_proof: proof.state_proof.slice(2) })],
    ];
    for (const [lie, response] of lies) {
      assert.throws(() => verifyAccountProof(trusted, response), isNodeError, lie);
    }
    const { proof: _proof, ...bare } = good;
    assert.throws(() => verifyAccountProof(trusted, bare), isNodeError);
  });

  it('refuses another validator set and another chain', async () => {
    const good = await client.account(addressText('fresh'), { proof: true });
    const four = trustGenesis(pureCrypto, new FakeNode({ powers: [1, 1, 1, 1] }).genesisJson);
    assert.throws(() => verifyAccountProof({ ...trusted, validatorSet: four.validatorSet }, good), /validator set/);
    const chain = { ...trusted.chain, genesisHash: new Uint8Array(32) };
    assert.throws(() => verifyAccountProof({ ...trusted, chain }, good), /signature/);
    assert.throws(() => verifyAccountProof({ ...trusted, chain: { ...chain, chainId: 'ait-testnet' } }, good), /chain/);
  });

  it('recomputes the hash of a genesis', () => {
    assert.throws(
      () => trustGenesis(pureCrypto, node.genesisJson, new Uint8Array(32)),
      (error) => isNodeError(error) && error.code === 'WRONG_GENESIS',
    );
  });
});

function cut(certificate: ReturnType<typeof decodeCertificate>, kept: number): typeof certificate {
  return {
    ...certificate,
    signers: certificate.signers.slice(0, kept),
    signatures: certificate.signatures.slice(0, kept),
  };
}

describe('transactions built by the sdk', () => {
  it('carry the least fee and a signature for the chain of the status', async () => {
    const node = new FakeNode();
    const server = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 } },
      { api: fakeNode(node), log: nopLogger },
    );
    try {
      const client = createClient({ url: server.url });
      const context = { hasher: pureCrypto, ...chainOfStatus(await client.status()), signer: signer('operator-0') };
      const to = addressOf(pureCrypto, signer('account-1').publicKey);
      const options = { nonce: 0, validUntilHeight: 100 };
      const sent = buildTransfer(context, { ...options, to, amountUait: 5, memo: Uint8Array.of(1) });
      assert.equal(sent.feeUait, leastFeeUait(node.genesis.params, sent.bytes.length));
      const { message, signature, publicKey } = txCheck(node.genesis.chain, sent);
      assert(pureCrypto.verify(message, signature, publicKey));

      const proof = validatorKeyProof(context.chain, signer('validator-9'), to);
      const change = {
        kind: 'add',
        publicKey: signer('validator-9').publicKey,
        operator: to,
        name: 'n9',
        proof,
      } as const;
      const proposal = buildProposal(context, { ...options, nonce: 1 }, change);
      const vote = buildVote({ ...context, signer: signer('operator-1') }, options, 1);
      for (const tx of [sent, proposal, vote]) assert.equal((await client.sendTransaction(tx.bytes)).status, 'pending');
      const { receipts } = node.produce();
      assert.deepEqual(
        receipts.map(({ code }) => code),
        [0, 0, 0],
      );
      assert.equal(proposeChange.toJson(change)['operator'], formatAddress(to));
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
      const { proposals, next } = await client.validators();
      assert.deepEqual(proposals, []);
      assert.equal(next.validators.length, 4);
    } finally {
      await server.close();
    }
  });
});
