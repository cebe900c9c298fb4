/** What describes the interface itself: its OpenAPI document, and a page of it to read. */
import { createHash } from 'node:crypto';
import Type from 'typebox';
import type { NodeApi } from '../api.ts';
import { NO_CACHE, noQuery, strict } from '../app.ts';
import { DOCS_POLICY, DOCS_STYLE, docsPage } from '../docs-page.ts';
import type { JsonSchema } from '../openapi.ts';
import { openApiDocument } from '../openapi.ts';
import type { AnswerDoc, Described, Operation } from '../operation.ts';
import { operation } from '../operation.ts';
import { anyObject } from '../schemas.ts';

const JSON_TYPE = 'application/json';
const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';

/** A text that does not change while the process runs, made when it is first asked for. */
function page(path: string, summary: string, type: string, answer: AnswerDoc, make: () => string): Operation {
  let text: string | null = null;
  let etag = '';
  return operation({
    ...{ methods: [], verb: 'GET', path, scope: null, summary, params: strict({}), query: noQuery, errors: [] },
    answers: { 200: answer },
    handle: () => {
      if (text === null) {
        text = make();
        etag = `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`;
      }
      const made = text;
      // Another version of the program answers otherwise: to be asked again each time.
      const headers = {
        'cache-control': NO_CACHE,
        'content-security-policy': DOCS_POLICY,
        'referrer-policy': 'no-referrer',
      };
      return { status: 200, headers, type, etag, body: () => made };
    },
  });
}

/** @param operations what is described; these documents are added to them */
export function documentOperations(node: NodeApi, operations: readonly Described[]): Operation[] {
  const document = (): JsonSchema => openApiDocument([...operations, ...documents], node.version);
  const ofText = (description: string, type: string): AnswerDoc => ({ description, schema: Type.String(), type });
  const documents: readonly Operation[] = [
    page('/openapi.json', 'This document', JSON_TYPE, { description: 'OpenAPI 3.1', schema: anyObject }, () =>
      JSON.stringify(document()),
    ),
    page('/docs', 'This document as a page, without scripts', HTML, ofText('HTML', 'text/html'), () =>
      docsPage(document()),
    ),
    page('/docs/style.css', 'How the page looks', CSS, ofText('CSS', 'text/css'), () => DOCS_STYLE),
  ];
  return [...documents];
}
