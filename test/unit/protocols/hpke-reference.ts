/** RFC 9180, base and auth mode with DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256, the receiving side, on Node's own primitives. */
import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';

export interface ReferenceSuite {
  readonly aeadId: 1 | 2;
  readonly keyBytes: 16 | 32;
}

const bytes = (...parts: (string | Uint8Array | number)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.from([part >> 8, part & 255]);
      return typeof part === 'string' ? Buffer.from(part) : Buffer.from(part);
    }),
  );
const hmac = (key: Uint8Array, data: Uint8Array): Buffer => createHmac('sha256', key).update(data).digest();

function labeled(suiteId: Buffer) {
  const extract = (salt: Uint8Array, label: string, ikm: Uint8Array): Buffer =>
    hmac(salt.length === 0 ? Buffer.alloc(32) : salt, bytes('HPKE-v1', suiteId, label, ikm));
  const expand = (prk: Uint8Array, label: string, info: Uint8Array, length: number): Buffer => {
    const labeledInfo = bytes(length, 'HPKE-v1', suiteId, label, info);
    return hmac(prk, bytes(labeledInfo, Uint8Array.of(1))).subarray(0, length);
  };
  return { extract, expand };
}

/** Opens the message with a sequence number; with a sender in auth mode. */
export function openByReference(
  { aeadId, keyBytes }: ReferenceSuite,
  secret: { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array },
  message: { enc: Uint8Array; info: Uint8Array; aad: Uint8Array; sealed: Uint8Array; sequence: number },
  sender: Uint8Array | null = null,
): Buffer {
  const pkcs8 = bytes(Buffer.from('302e020100300506032b656e04220420', 'hex'), secret.privateKey);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const dhWith = (publicKey: Uint8Array): Buffer => {
    const key = bytes(Buffer.from('302a300506032b656e032100', 'hex'), publicKey);
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'der', type: 'spki' }) });
  };
  const dh = bytes(dhWith(message.enc), sender ? dhWith(sender) : '');
  const kem = labeled(bytes('KEM', 0x0020));
  const shared = kem.expand(
    kem.extract(Buffer.alloc(0), 'eae_prk', dh),
    'shared_secret',
    bytes(message.enc, secret.publicKey, sender ?? ''),
    32,
  );
  const hpke = labeled(bytes('HPKE', 0x0020, 0x0001, aeadId));
  const empty = Buffer.alloc(0);
  const context = bytes(
    Uint8Array.of(sender ? 2 : 0),
    hpke.extract(empty, 'psk_id_hash', empty),
    hpke.extract(empty, 'info_hash', message.info),
  );
  const prk = hpke.extract(shared, 'secret', empty);
  const key = hpke.expand(prk, 'key', context, keyBytes);
  const nonce = hpke.expand(prk, 'base_nonce', context, 12);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ message.sequence) >>> 0, 8);
  const cipher = createDecipheriv(keyBytes === 32 ? 'aes-256-gcm' : 'aes-128-gcm', key, nonce);
  cipher.setAAD(message.aad);
  cipher.setAuthTag(message.sealed.subarray(-16));
  return Buffer.concat([cipher.update(message.sealed.subarray(0, -16)), cipher.final()]);
}
