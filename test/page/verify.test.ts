import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toHex } from '../../src/bytes.ts';
import { bundleVerifier, compressedBytes } from '../../scripts/bundle.ts';
import type { TestCluster } from '../e2e/support.ts';
import { makeTransfer, startCluster, submit, untilFinal } from '../e2e/support.ts';
import { Browser, findChromium } from './chromium.ts';

const MAX_COMPRESSED_BYTES = 60_000;

/** What the page does: it knows the genesis hash, and asks the node behind its own origin and one that lies. */
const PAGE = (question: object): string => `<!doctype html>
<meta charset="utf-8"><title>verify</title><body><script type="module">
import { connectVerifier } from '/verify.js';
const { genesisHash, hash, address } = ${JSON.stringify(question)};
const refused = async (ask) => {
  try { await ask(); return 'believed'; } catch (error) { return error.code + ': ' + error.message; }
};
const at = (...paths) => connectVerifier({ urls: paths.map((path) => location.origin + path), genesisHash });
const result = {};
try {
  const verifier = await at('');
  result.transaction = await verifier.transaction(hash);
  result.account = await verifier.account(address);
  for (const lie of ['balance', 'receipt', 'header', 'genesis']) {
    result[lie] = await refused(async () => {
      const liar = await at('/' + lie);
      await liar.transaction(hash);
      await liar.account(address);
    });
  }
  const both = await at('/balance', '');
  result.honest = (await both.account(address)).balance_uait;
  result.named = both.faults();
} catch (error) {
  result.error = String(error && error.stack || error);
}
document.body.textContent = JSON.stringify(result);
await fetch('/result', { method: 'POST', body: JSON.stringify(result) });
</script>`;

type Answer = ReturnType<typeof JSON.parse>;

const flip = (hex: string): string => hex.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));

/** By the name under which the page asks: which answers are changed, and how. */
const LIES: Readonly<Record<string, (path: string, json: Answer) => unknown>> = {
  balance: (path, json) =>
    path.startsWith('/rpc/accounts/') ? { ...json, balance_uait: String(Number(json.balance_uait) + 1) } : json,
  receipt: (_path, json) =>
    json.proof?.receipt ? { ...json, proof: { ...json.proof, receipt: flip(json.proof.receipt) } } : json,
  header: (path, json) => (path.startsWith('/rpc/light/') ? { ...json, header: flip(json.header) } : json),
  genesis: (path, json) =>
    path === '/rpc/genesis' ? { ...json, genesis: { ...json.genesis, time_ms: json.genesis.time_ms + 1 } } : json,
};

/** Serves the page and its script, passes requests on to a node, truly or not, and takes the result. */
class PageServer {
  readonly #server: Server;
  readonly #target: string;
  readonly #files: Readonly<Record<string, readonly [type: string, text: string]>>;
  readonly result: Promise<Answer>;
  #report: (result: Answer) => void = () => undefined;
  url = '';

  constructor(target: string, page: string, script: string) {
    this.#target = target;
    this.#files = { '/': ['text/html', page], '/verify.js': ['text/javascript', script] };
    this.result = new Promise((resolve) => {
      this.#report = resolve;
    });
    this.#server = createServer((incoming, outgoing) => void this.#answer(incoming, outgoing));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<unknown> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { url = '/' } = incoming;
    const file = this.#files[url];
    if (file) {
      outgoing.writeHead(200, { 'content-type': file[0] }).end(file[1]);
    } else if (url === '/result') {
      this.#report(JSON.parse(await readText(incoming)));
      outgoing.writeHead(204).end();
    } else if (url.includes('/rpc/')) {
      const [lie = ''] = url.slice(1).split('/rpc/');
      const path = url.slice(url.indexOf('/rpc/'));
      const upstream = request(this.#target + path, { agent: false }, (answer) => {
        void readText(answer).then((text) => {
          const told = LIES[lie]?.(path, JSON.parse(text)) ?? JSON.parse(text);
          outgoing.writeHead(answer.statusCode ?? 500, { 'content-type': answer.headers['content-type'] ?? '' });
          outgoing.end(JSON.stringify(told));
        });
      });
      upstream.end();
    } else {
      outgoing.writeHead(404).end();
    }
  }
}

async function readText(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

describe('a page that trusts no node', function () {
  this.timeout(120_000);
  let script: string;
  before(async () => {
    script = await bundleVerifier();
  });

  it(`is below ${MAX_COMPRESSED_BYTES} bytes compressed, and one file`, () => {
    assert(compressedBytes(script) < MAX_COMPRESSED_BYTES, `${compressedBytes(script)} bytes`);
    assert(!/(^|[;}\s])import[\s{"'(]/.test(script));
  });

  describe('in a browser', () => {
    let at: TestCluster | undefined;
    let server: PageServer | undefined;
    let browser: Browser | undefined;

    after(async () => {
      await browser?.close();
      await server?.close();
      await at?.close();
    });

    it('verifies a transfer from genesis and certificate to account, and refuses forged answers', async function () {
      const chromium = findChromium();
      if (chromium === null) {
        assert(!process.env['CI'], 'CI needs Chromium: apt-get install chromium');
        console.log('      no Chromium on this machine (apt-get install chromium): the page is not tested');
        this.skip();
      }
      at = await startCluster({ validators: 3 });
      const { signer } = at.account('alice');
      const { address } = at.account('bob');
      const tx = makeTransfer(at.genesis, signer, address, { nonce: 0, amountUait: 1_234_567 });
      const hash = toHex(tx.id);
      await submit(at.rpc(1), tx, 'commit');
      const height = await untilFinal([at.rpc(1)], hash);

      const genesisHash = at.cluster.manifest.genesis_hash;
      server = new PageServer(at.rpc(1), PAGE({ genesisHash, hash, address }), script);
      await server.listen();
      browser = new Browser(chromium, server.url);
      const result = await Promise.race([server.result, browser.failure]);

      assert.equal(result.error, undefined, result.error);
      assert.equal(result.transaction.code, 0);
      assert.deepEqual(result.transaction.transaction.payload, { to: address, amount_uait: '1234567' });
      assert.equal(result.transaction.block.height, height);
      assert(result.transaction.block.signers >= 2);
      assert.equal(result.account.address, address);
      assert.equal(result.account.balance_uait, String(1_000_000_000_000 + 1_234_567));
      assert.match(result.balance, /^BAD_PROOF: .*another one than the answer tells/);
      assert.match(result.receipt, /^BAD_PROOF: .*does not hold this receipt/);
      assert.match(result.header, /^BAD_(PROOF|CERTIFICATE): /);
      assert.match(result.genesis, /^WRONG_GENESIS: /);
      assert.equal(result.honest, result.account.balance_uait);
      assert.deepEqual(
        result.named.map(({ url, code }: { url: string; code: string }) => [url, code]),
        [[`${server.url}/balance`, 'BAD_PROOF']],
      );
    });
  });
});
