/** Addresses, and texts that are none. */
import { bech32, bech32m } from '@scure/base';
import { toHex, utf8 } from '../../src/bytes.ts';
import { addressOf, formatAddress } from '../../src/chain/address.ts';
import { createPureSigner, pureHasher } from '../../src/chain/crypto/pure.ts';

export function addressVectors() {
  const valid = Array.from({ length: 8 }, (_, i) => {
    const { publicKey } = createPureSigner(pureHasher.hash(utf8(`seed ${i}`)));
    const address = addressOf(pureHasher, publicKey);
    return { publicKey: toHex(publicKey), address: toHex(address), text: formatAddress(address) };
  });
  const ends = [0x00, 0xff].map((byte) => {
    const address = new Uint8Array(20).fill(byte);
    return { publicKey: null, address: toHex(address), text: formatAddress(address) };
  });
  const text = valid[0]?.text ?? '';
  const bytes = new Uint8Array(20).fill(7);
  const encoded = (prefix: string, length: number): string =>
    bech32m.encode(prefix, bech32m.toWords(new Uint8Array(length).fill(7)));
  const invalid = [
    { text: '', reason: 'prefix' },
    { text: 'ait1', reason: 'length' },
    { text: 'nonsense', reason: 'prefix' },
    { text: toHex(bytes), reason: 'prefix' },
    { text: encoded('bit', 20), reason: 'prefix' },
    { text: encoded('aitx', 20), reason: 'prefix' },
    { text: encoded('ait1', 20), reason: 'prefix' },
    { text: encoded('ait', 19), reason: 'length' },
    { text: encoded('ait', 21), reason: 'length' },
    { text: encoded('ait', 32), reason: 'length' },
    { text: 'q'.repeat(91), reason: 'length' },
    { text: text.slice(0, -1), reason: 'length' },
    { text: `${text} `, reason: 'length' },
    { text: ` ${text}`, reason: 'prefix' },
    { text: text.slice(0, 10) + text.slice(10).toUpperCase(), reason: 'case' },
    { text: `A${text.slice(1)}`, reason: 'case' },
    { text: text.slice(0, -1) + (text.endsWith('q') ? 'p' : 'q'), reason: 'checksum' },
    { text: text.slice(0, 20) + (text[20] === 'q' ? 'p' : 'q') + text.slice(21), reason: 'checksum' },
    { text: text.slice(0, 20) + (text[21] ?? '') + (text[20] ?? '') + text.slice(22), reason: 'checksum' },
    { text: `${text.slice(0, 20)}b${text.slice(21)}`, reason: 'checksum' },
    { text: bech32.encode('ait', bech32.toWords(bytes)), reason: 'checksum' },
  ];
  return { valid: [...valid, ...ends], upperCase: { text: text.toUpperCase(), address: valid[0]?.address }, invalid };
}
