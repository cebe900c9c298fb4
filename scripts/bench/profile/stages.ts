/** What the main thread of a node spends its time on, by the part of the house the code lies in. */
import type { CallFrame, ProfileNode } from './cpu-profile.ts';
import { isIdle } from './cpu-profile.ts';

/** By the first expression that a file's URL matches; what matches none belongs to its caller. */
const STAGES: readonly (readonly [stage: string, url: RegExp])[] = [
  ['rpc', /\/src\/rpc\/|\/node_modules\/(?:@?fastify|find-my-way|ajv|light-my-request|secure-json-parse)/],
  ['rpc', /^node:(?:_http|internal\/http)/],
  ['pool', /\/src\/(?:mempool\.ts|engine\/(?:admission|intake))/],
  ['verify', /\/src\/native\/|\/src\/engine\/tx-signatures/],
  ['tree', /\/src\/chain\/tree/],
  ['decode', /\/src\/chain\/(?:codec|tx|tx-checks|block|votes|signing|crypto)/],
  ['execute', /\/src\/chain\//],
  ['store', /\/src\/store\/|\/node_modules\/(?:classic-level|abstract-level|level)\//],
  ['agreement', /\/src\/(?:consensus|engine)\//],
  [
    'gossip',
    /\/node_modules\/@(?:libp2p\/gossipsub|chainsafe\/libp2p-gossipsub)|\/src\/net\/gossip|\/protocols\/gossip/,
  ],
  [
    'network',
    /\/src\/net\/|\/protocols\/|\/node_modules\/(?:@libp2p|@chainsafe|@multiformats|it-|uint8-?array|multiformats|protons|abortable|p-|race-|weald|any-signal|main-event|progress)/,
  ],
];
export const GC = 'gc';
const OTHER = 'other';

/** Time by stage in µs, idle time left out, the longest first. */
export function stageTimes(root: ProfileNode): Map<string, number> {
  return timesBy(root, stageOf);
}

/** Likewise by whose code it is: a package, a folder or file of ours, the collector. Node's own belongs to its caller. */
export function ownerTimes(root: ProfileNode): Map<string, number> {
  return timesBy(root, ownerOf);
}

function timesBy(root: ProfileNode, nameOf: (frame: CallFrame) => string | undefined): Map<string, number> {
  const times = new Map<string, number>();
  const visit = (node: ProfileNode, caller: string): void => {
    if (isIdle(node.frame)) return;
    const name = nameOf(node.frame) ?? caller;
    times.set(name, (times.get(name) ?? 0) + node.selfUs);
    for (const child of node.children) visit(child, name);
  };
  visit(root, OTHER);
  return new Map([...times].filter(([, us]) => us > 0).sort(([, a], [, b]) => b - a));
}

function stageOf(frame: CallFrame): string | undefined {
  return isCollector(frame) ? GC : STAGES.find(([, pattern]) => pattern.test(frame.url))?.[0];
}

function ownerOf(frame: CallFrame): string | undefined {
  if (isCollector(frame)) return GC;
  const inModules = frame.url.lastIndexOf('/node_modules/');
  if (inModules >= 0) return /^(?:@[^/]+\/)?[^/]+/.exec(frame.url.slice(inModules + '/node_modules/'.length))?.[0];
  return /\/((?:src|testnet)\/[^/]+|protocols)(?:\/|$)/.exec(frame.url)?.[1];
}

function isCollector({ url, functionName }: CallFrame): boolean {
  return url === '' && functionName === '(garbage collector)';
}
