/** What describes the interface itself: its OpenAPI document. */
import type { NodeApi } from '../api.ts';
import { noQuery, strict } from '../app.ts';
import { openApiDocument } from '../openapi.ts';
import type { Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { anyObject } from '../schemas.ts';

/** @param operations what is described; these documents are added to them */
export function documentOperations(node: NodeApi, operations: readonly Operation[]): Operation[] {
  let document: string | null = null;
  const openApi: Operation = operation({
    methods: [],
    verb: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    params: strict({}),
    query: noQuery,
    answers: { 200: { description: 'OpenAPI 3.1', schema: anyObject } },
    errors: [],
    handle: () => {
      document ??= JSON.stringify(openApiDocument([...operations, openApi], node.version));
      return { ...fresh(document), type: 'application/json' };
    },
  });
  return [openApi];
}
