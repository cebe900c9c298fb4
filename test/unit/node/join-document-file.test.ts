import assert from 'node:assert/strict';
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseGenesis } from '../../../src/chain/genesis.ts';
import type { JoinDocument } from '../../../src/chain/join-document.ts';
import {
  joinDocumentToJson,
  MAX_JOIN_DOCUMENT_CHARACTERS,
  parseJoinDocument,
} from '../../../src/chain/join-document-json.ts';
import { verifyJoinDocument } from '../../../src/chain/join-document.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { JoinDocumentFile } from '../../../src/node/join-document-file.ts';
import { fixtureGenesis, genesisJson, joinDocument } from '../../util/chain-fixture.ts';
import { makeFolder, removeFolder } from '../cli/run.ts';

describe('the join document of a node', () => {
  const nowMs = Date.now();
  const json = genesisJson({ timeMs: 1_000 });
  const genesis = parseGenesis(nativeCrypto, json);
  let folder: string;
  let path: string;
  let file: JoinDocumentFile;
  /** Each with a time of its own: two writes may fall into one tick of the file system's clock. */
  let writes = 0;
  const write = (document: JoinDocument): void => {
    writeFileSync(path, JSON.stringify(joinDocumentToJson(document)));
    utimesSync(path, 1_000, 1_000 + ++writes);
  };
  const gives = async (wanted: JoinDocument, atMs = nowMs): Promise<void> => {
    const read = parseJoinDocument(JSON.stringify(await file.read(atMs)));
    assert.deepEqual(read, { ...wanted, genesis: json });
    verifyJoinDocument(nativeCrypto, genesis, read, nowMs);
  };
  const refuses = (why: RegExp, atMs = nowMs): Promise<void> =>
    assert.rejects(
      file.read(atMs),
      (error) => isNodeError(error) && error.code === 'NOT_FOUND' && why.test(error.message),
    );

  beforeEach(() => {
    folder = makeFolder();
    path = join(folder, 'join.json');
    file = new JoinDocumentFile({ path, crypto: nativeCrypto, genesis, genesisJson: json });
  });

  afterEach(() => {
    removeFolder(folder);
  });

  it('is given with the genesis, and a renewed one as soon as it is there', async () => {
    await refuses(/no join document/);
    const old = joinDocument(genesis, 2, nowMs - 60_000);
    write(old);
    await gives(old);
    const renewed = joinDocument(genesis, 3, nowMs);
    write(renewed);
    await gives(renewed);
    await gives(renewed);
    rmSync(path);
    await refuses(/no join document/);
  });

  it('is not given when others could not rely on it: expired, signed by too few, of another network, damaged', async () => {
    const document = joinDocument(genesis, 3, nowMs);
    write(document);
    await gives(document);
    await refuses(/expired/, document.validUntilMs);
    write(joinDocument(genesis, 1, nowMs));
    await refuses(/1 of 3 of the power/);
    write(joinDocument(fixtureGenesis({ timeMs: 2_000 }), 3, nowMs));
    await refuses(/another genesis/);
    writeFileSync(path, '{');
    await refuses(/not JSON/);
    write(document);
    await gives(document);
  });

  it('bound: a file that is too large is not read', async () => {
    writeFileSync(path, Buffer.alloc(MAX_JOIN_DOCUMENT_CHARACTERS + 1, 0x20));
    await refuses(/too large/);
  });
});
