import assert from 'node:assert/strict';
import { ERRORS } from '../../../src/errors.ts';
import { docsPage } from '../../../src/rpc/docs-page.ts';
import { World } from './document-world.ts';
import { ask } from './http.ts';

describe('the page at /docs', () => {
  let world: World;
  let html: string;

  beforeEach(async () => {
    world = await World.start();
    html = (await ask(world.server.url, '/docs')).text;
  });

  afterEach(() => world.close());

  it('shows every path, parameter, schema and code', async () => {
    const { json } = await ask(world.server.url, '/openapi.json');
    for (const path of Object.keys(json.paths)) assert(html.includes(`<code>${path}</code>`), path);
    for (const name of Object.keys(json.components.schemas)) assert(html.includes(`id="schema-${name}"`), name);
    const table = html.slice(html.indexOf('id="codes"'), html.indexOf('id="schemas"'));
    const codes = [...table.matchAll(/<tr><td><code>(\w+)<\/code>/g)].map(([, code]) => code);
    assert.deepEqual(codes, Object.keys(ERRORS));
  });

  it('has no script, no style of its own, and nothing from elsewhere, and its policy forbids them', async () => {
    assert.doesNotMatch(html, /<script|<iframe|<img|\son\w+=|\sstyle=|<style|javascript:/i);
    const targets = [...html.matchAll(/\s(?:href|src)="([^"]*)"/g)].map(([, target = '']) => target);
    const ids = new Set([...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id));
    for (const target of targets) {
      if (target.startsWith('#')) assert(ids.has(target.slice(1)), target);
      else assert.equal((await ask(world.server.url, target)).status, 200, target);
    }
    const { headers } = await ask(world.server.url, '/docs');
    assert.match(String(headers['content-type']), /^text\/html/);
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; style-src 'self';/);
    assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|http|\*/);
    const style = await ask(world.server.url, '/docs/style.css');
    assert.match(String(style.headers['content-type']), /^text\/css/);
    assert.doesNotMatch(style.text, /url\(|@import/);
  });

  it('has each id once', () => {
    const ids = [...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('shows text as text', async () => {
    const { json } = await ask(world.server.url, '/openapi.json');
    const evil = `<script>alert("1")</script>'&`;
    const operation = {
      operationId: evil,
      summary: evil,
      parameters: [],
      responses: { [evil]: { description: evil } },
    };
    const page = docsPage({ ...json, info: { ...json.info, title: evil }, paths: { [evil]: { get: operation } } });
    assert(!page.includes('<script'));
    assert(page.includes('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;'));
  });

  it('is asked for again, and sent again only when it has changed', async () => {
    for (const path of ['/docs', '/docs/style.css', '/openapi.json']) {
      const { headers } = await ask(world.server.url, path);
      assert.equal(headers['cache-control'], 'no-cache', path);
      const again = await ask(world.server.url, path, { headers: { 'if-none-match': String(headers['etag']) } });
      assert.deepEqual([again.status, again.text], [304, '']);
    }
  });
});
