import assert from 'node:assert/strict';
import { toHex, utf8 } from '../../../src/bytes.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { listProof, listRoot } from '../../../src/chain/list-root.ts';
import type { ReceiptPlace } from '../../../src/chain/market/receipt-json.ts';
import { receiptToJson } from '../../../src/chain/market/receipt-json.ts';
import type { WorkReceipt } from '../../../src/chain/market/receipt.ts';
import type { Agreement } from '../../../src/chain/modules/compute/agreement.ts';
import { settleAgreement } from '../../../src/chain/modules/compute/agreement-miner.ts';
import { signVoucher } from '../../../src/chain/modules/compute/voucher.ts';
import type { Json, JsonObject } from '../../../src/chain/modules/types.ts';
import { signTransaction } from '../../../src/chain/tx.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { verifyReceiptText } from '../../../src/sdk/browser.ts';
import {
  MAX_RECEIPT_CHARACTERS,
  parseReceipt,
  soleAnchor,
  verifyReceiptDocument,
  verifyOutput,
  verifyReceipt,
} from '../../../src/sdk/receipt.ts';
import { fixtureGenesis, signer } from '../../util/chain-fixture.ts';
import { openingOf, receiptKeys, signedFixture, workReceipt } from '../../util/receipt-fixture.ts';

const { chain } = fixtureGenesis({ timeMs: 1_700_000_000_000 });
const OUTPUT = utf8('Vienna is the capital of Austria.');
const rules = { crypto: nativeCrypto, chain };

function failing(check: string, run: () => unknown): void {
  assert.throws(run, (error) => {
    assert.ok(isNodeError(error) && error.code === 'BAD_RECEIPT', String(error));
    assert.equal(error.data['check'], check);
    return true;
  });
}

function other(value: Uint8Array): Uint8Array {
  return value.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
}

/** Every field with another value of its kind. */
function tampered(receipt: WorkReceipt): [keyof WorkReceipt, WorkReceipt][] {
  return (Object.keys(receipt) as (keyof WorkReceipt)[]).map((key) => {
    const value = receipt[key];
    const changed =
      value instanceof Uint8Array
        ? other(value)
        : typeof value === 'number'
          ? value + 1
          : key === 'finish'
            ? 'length'
            : typeof value === 'string'
              ? `${value}x`
              : key === 'price'
                ? { ...receipt.price, fixedUait: 1 }
                : 3;
    return [key, { ...receipt, [key]: changed }];
  });
}

describe('receipts of work', () => {
  const { signed, acknowledgement } = signedFixture(chain, OUTPUT);

  it('hold, by pure code as by native', () => {
    for (const crypto of [nativeCrypto, pureCrypto]) {
      const { findings, dueUait, capUait } = verifyReceipt({ crypto, chain }, signed, acknowledgement);
      assert.deepEqual([dueUait, capUait], [signed.receipt.dueUait, 50_000]);
      assert.deepEqual(
        findings.map(({ check }) => check),
        ['numbers', 'due', 'miner', 'acknowledgement', 'opening', 'account', 'agreement'],
      );
    }
    verifyOutput(rules, signed.receipt, OUTPUT);
    failing('output', () => {
      verifyOutput(rules, signed.receipt, utf8('Graz'));
    });
  });

  it('hold without any output', () => {
    const empty = signedFixture(chain, new Uint8Array());
    assert.equal(verifyReceipt(rules, empty.signed, empty.acknowledgement).dueUait, 103);
    const odd = signedFixture(chain, new Uint8Array(), { link: signed.receipt.link });
    failing('numbers', () => verifyReceipt(rules, odd.signed, odd.acknowledgement));
  });

  it('do not hold with any field changed', () => {
    const cases = tampered(signed.receipt);
    assert.equal(cases.length, 24);
    for (const [key, receipt] of cases) {
      const checks = { price: 'due', dueUait: 'due', inputBytes: 'due', outputBytes: 'due' } as Record<string, string>;
      if (key === 'inputBytes' || key === 'outputBytes') {
        assert.throws(
          () => verifyReceipt(rules, { ...signed, receipt }, acknowledgement),
          { code: 'BAD_RECEIPT' },
          key,
        );
        continue;
      }
      failing(checks[key] ?? 'miner', () => verifyReceipt(rules, { ...signed, receipt }, acknowledgement));
    }
    failing('miner', () => verifyReceipt(rules, { ...signed, signature: other(signed.signature) }, acknowledgement));
    failing('acknowledgement', () => verifyReceipt(rules, signed, other(acknowledgement)));
    failing('acknowledgement', () => verifyReceipt(rules, signed, null));
    const elsewhere = { ...chain, chainId: 'ait-testnet' };
    failing('miner', () => verifyReceipt({ crypto: nativeCrypto, chain: elsewhere }, signed, acknowledgement));
  });

  it('do not hold when miner and session key signed what the account did not', () => {
    const cases: [string, Partial<WorkReceipt>][] = [
      ['numbers', { attempt: 0 }],
      ['numbers', { chunks: 0 }],
      ['numbers', { endedAtMs: 1 }],
      ['numbers', { dueUait: 1.5 }],
      ['due', { dueUait: 1 }],
      ['opening', { signer: signer('session-2').publicKey }],
      ['opening', { miner: signer('account-2').publicKey }],
      ['opening', { open: openingOf(chain, { miner: addressOf(nativeCrypto, signer('account-2').publicKey) }).bytes }],
      ['opening', { open: openingOf(chain).bytes.subarray(1) }],
      ['account', { client: addressOf(nativeCrypto, signer('account-2').publicKey) }],
      ['account', { open: openingOf(chain, {}, signer('account-2')).bytes }],
      ['account', { open: openingOf({ ...chain, chainId: 'ait-testnet' }).bytes }],
      ['agreement', { open: openingOf(chain, {}, receiptKeys.client, 8).bytes }],
      ['agreement', { agreement: other(signed.receipt.agreement) }],
    ];
    for (const [check, change] of cases) {
      const whole = { ...signed, receipt: workReceipt(chain, OUTPUT, change) };
      const bad =
        check === 'numbers' || check === 'due'
          ? { signed: whole, acknowledgement }
          : signedFixture(chain, OUTPUT, change);
      failing(check, () => verifyReceipt(rules, bad.signed, bad.acknowledgement));
    }
  });

  it('are anchored where the agreement has the root of a list that holds them', () => {
    const { id } = verifyReceipt(rules, signed, acknowledgement);
    const list = [nativeCrypto.hash(OUTPUT), id, nativeCrypto.hash(id)];
    const place = listProof(nativeCrypto, list, 1);
    assert.ok(place);
    const agreement: Agreement = {
      client: signed.receipt.client,
      signer: signed.receipt.signer,
      miner: addressOf(nativeCrypto, signed.receipt.miner),
      capUait: 50_000,
      paidUait: signed.receipt.dueUait,
      expiresAtMs: 1_800_000_600_000,
      receiptsRoot: listRoot(nativeCrypto, list),
      state: { name: 'closed', atHeight: 9, atMs: 1, refundedUait: 50_000 - signed.receipt.dueUait },
    };
    const { findings } = verifyReceipt(rules, signed, acknowledgement, { agreement, place });
    assert.equal(findings.at(-1)?.check, 'anchor');
    assert.equal(soleAnchor(nativeCrypto, id, agreement), undefined);
    const alone = soleAnchor(nativeCrypto, id, { ...agreement, receiptsRoot: listRoot(nativeCrypto, [id]) });
    assert.equal(verifyReceipt(rules, signed, acknowledgement, alone).findings.at(-1)?.check, 'anchor');
    const bad = [
      { agreement, place: { ...place, index: 0 } },
      { agreement: { ...agreement, receiptsRoot: id }, place },
      { agreement: { ...agreement, paidUait: 1 }, place },
      { agreement: { ...agreement, miner: agreement.client }, place },
      { agreement: { ...agreement, signer: receiptKeys.miner.publicKey }, place },
    ];
    for (const anchor of bad) failing('anchor', () => verifyReceipt(rules, signed, acknowledgement, anchor));
  });

  it('tell in their file where they stand, under a root that the miner signed', () => {
    const { id } = verifyReceipt(rules, signed, acknowledgement);
    const list = [nativeCrypto.hash(OUTPUT), id, nativeCrypto.hash(id)];
    const place = listProof(nativeCrypto, list, 1);
    assert.ok(place);
    const root = listRoot(nativeCrypto, list);
    const settlement = settlementOf(root);
    const document = { chain, signed, acknowledgement, id, anchor: { root, place, settlement } };
    const text = JSON.stringify(receiptToJson(nativeCrypto, document));
    const read = parseReceipt(nativeCrypto, text);
    assert.deepEqual(read.anchor, document.anchor);
    const { findings } = verifyReceiptDocument(nativeCrypto, read, null);
    assert.deepEqual(
      findings.slice(-2).map(({ check }) => check),
      ['place', 'settlement'],
    );
    const inPage = verifyReceiptText(text, toHex(chain.genesisHash)).findings;
    assert.match(inPage.at(-2)?.text ?? '', /^receipt 2 of 3 under [0-9a-f]{64}$/);
    const without = { ...document, anchor: { root, place, settlement: null } };
    assert.equal(verifyReceiptDocument(nativeCrypto, without, null).findings.at(-1)?.check, 'place');

    const told = (anchor: Partial<ReceiptPlace>) => () =>
      verifyReceiptDocument(nativeCrypto, { ...document, anchor: { ...document.anchor, ...anchor } }, null);
    failing('place', told({ root: id }));
    failing('place', told({ place: { ...place, index: 0 } }));
    failing('settlement', told({ settlement: settlementOf(id) }));
    failing('settlement', told({ settlement: settlementOf(root, 1) }));
    failing('settlement', told({ settlement: settlementOf(root, 136, receiptKeys.client) }));
    failing('settlement', told({ settlement: settlement.with(-1, (settlement.at(-1) ?? 0) ^ 1) }));
    failing('settlement', told({ settlement: settlement.subarray(1) }));
    failing('settlement', told({ settlement: signed.receipt.open }));
  });

  function settlementOf(receiptsRoot: Uint8Array, totalUait = 136, by = receiptKeys.miner): Uint8Array {
    const { agreement } = signed.receipt;
    const voucher = signVoucher(chain, receiptKeys.session, { agreement, creditUait: 200, seen: receiptsRoot });
    const payload = settleAgreement.encode({ agreement, receiptsRoot, totalUait, voucher });
    const fields = { type: settleAgreement.type, nonce: 1, feeUait: 5000, validUntilHeight: 99, payload };
    return signTransaction(nativeCrypto, chain, by, fields).bytes;
  }
});

describe('receipts of work as JSON', () => {
  const { signed, acknowledgement } = signedFixture(chain, OUTPUT);
  const json = receiptToJson(nativeCrypto, { chain, signed, acknowledgement }) as unknown as JsonObject;

  it('come back as they were', () => {
    const found = parseReceipt(nativeCrypto, JSON.stringify(json));
    assert.deepEqual(receiptToJson(nativeCrypto, found), json);
    verifyReceipt({ crypto: nativeCrypto, chain: found.chain }, found.signed, found.acknowledgement);
    const unacknowledged = receiptToJson(nativeCrypto, { chain, signed, acknowledgement: null });
    assert.equal(parseReceipt(nativeCrypto, JSON.stringify(unacknowledged)).acknowledgement, null);
  });

  it('are checked for a page by the genesis that is meant', () => {
    const text = JSON.stringify(json);
    const genesisHash = toHex(chain.genesisHash);
    const found = verifyReceiptText(text, genesisHash, OUTPUT);
    assert.deepEqual([found.chain_id, found.due_uait, found.receipt_id], ['ait-devnet', '136', json['receipt_id']]);
    failing('output', () => verifyReceiptText(text, genesisHash, utf8('Graz')));
    assert.throws(() => verifyReceiptText(text, '00'.repeat(32)), { code: 'WRONG_GENESIS' });
  });

  it('have the field names of the replaced system, and integers', () => {
    for (const key of 'version receipt_id job_id provider client status units unit_type unit_price price started_at completed_at metadata signature attestations'.split(
      ' ',
    )) {
      assert.ok(Object.hasOwn(json, key), key);
    }
    assert.deepEqual([json['status'], json['units'], json['started_at']], ['completed', OUTPUT.length, 1_800_000_000]);
  });

  it('are refused with any value changed, added or taken away', () => {
    let count = 0;
    for (const path of leaves(json)) {
      const value = at(json, path);
      const changed = typeof value === 'number' ? value + 1 : typeof value === 'string' ? flipped(value) : 'x';
      const document = set(json, path, changed);
      assert.throws(
        () => {
          const found = parseReceipt(nativeCrypto, JSON.stringify(document));
          verifyReceipt({ crypto: nativeCrypto, chain: found.chain }, found.signed, found.acknowledgement);
        },
        { code: 'BAD_RECEIPT' },
        path.join('.'),
      );
      assert.throws(() => parseReceipt(nativeCrypto, JSON.stringify(set(json, path, undefined))), {
        code: 'BAD_RECEIPT',
      });
      count++;
    }
    assert.ok(count > 40);
    assert.throws(() => parseReceipt(nativeCrypto, JSON.stringify({ ...json, more: 1 })), { code: 'BAD_RECEIPT' });
    for (const text of ['', 'null', '[]', '{}', '{"version":"1.0"}']) {
      assert.throws(() => parseReceipt(nativeCrypto, text), { code: 'BAD_RECEIPT' });
    }
  });

  it('bound: a document has a largest size', () => {
    const text = JSON.stringify(json) + ' '.repeat(MAX_RECEIPT_CHARACTERS);
    assert.throws(() => parseReceipt(nativeCrypto, text), { code: 'BAD_RECEIPT' });
  });
});

function leaves(value: Json, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [[...path]];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, [...path, key]));
}

function at(value: Json, path: readonly string[]): Json {
  return path.reduce<Json>((node, key) => (node as JsonObject)[key] as Json, value);
}

function set(value: Json, path: readonly string[], leaf: Json | undefined): Json {
  const copy = JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
  let node = copy;
  for (const key of path.slice(0, -1)) node = node[key] as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  if (leaf === undefined) Reflect.deleteProperty(node, last);
  else node[last] = leaf;
  return copy as Json;
}

function flipped(text: string): string {
  const last = text.at(-1) ?? '';
  return text.slice(0, -1) + (last === '0' ? '1' : last === 'A' ? 'B' : /[0-9a-f]/.test(last) ? '0' : 'A');
}
