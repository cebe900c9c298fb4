/** Who a home is: to its peers, and among validators. */
import { toHex } from '../bytes.ts';
import { createNativeSigner } from '../native/crypto.ts';
import { readKeyFile } from '../store/key-file.ts';
import type { Context } from './context.ts';
import { fields } from './output.ts';
import { peerIdOf } from './peer-id.ts';
import { ownValidatorKey } from './validator-key.ts';

/** @throws NodeError KEY_FILE */
export async function showIdentity(context: Context): Promise<void> {
  const layout = context.layout();
  const peerId = peerIdOf(createNativeSigner(await readKeyFile(layout.nodeKey)).publicKey);
  const signer = await ownValidatorKey(layout.validatorKey);
  const validator = signer && toHex(signer.publicKey);
  context.out.data(
    { home: context.home, chain_id: layout.chainId, peer_id: peerId, validator },
    fields([
      ['peer id', peerId],
      ['validator key', validator],
    ]),
  );
}
