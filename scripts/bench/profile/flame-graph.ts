/** A flame graph of a profile as one SVG file: width is time, what lies on a frame was called by it. */
import type { ProfileNode } from './cpu-profile.ts';
import { isIdle } from './cpu-profile.ts';

const WIDTH = 1400;
const ROW = 17;
const MARGIN = 8;
const HEADER = 46;
/** Narrower frames are left out. */
const LEAST_WIDTH = 0.6;
/** Of the font, about. */
const CHARACTER = 6.6;

interface Box {
  readonly node: ProfileNode;
  readonly x: number;
  readonly width: number;
  readonly depth: number;
}

/** @param title shown above, with the time that was not idle */
export function flameGraph(root: ProfileNode, title: string): string {
  const busy = withoutIdle(root);
  const boxes = layOut(busy);
  const depth = boxes.reduce((most, box) => Math.max(most, box.depth), 0) + 1;
  const height = HEADER + depth * ROW + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + 2 * MARGIN} ${height}" font-family="ui-monospace, monospace" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${MARGIN}" y="20" font-size="14">${escape(title)}</text>`,
    `<text x="${MARGIN}" y="37" fill="#666">${milliseconds(busy.totalUs)} ms not idle; callers below, what they call above; hold the pointer over a frame for its time</text>`,
    ...boxes.map((box) => drawn(box, busy.totalUs, height)),
    '</svg>',
    '',
  ].join('\n');
}

function withoutIdle(node: ProfileNode): ProfileNode {
  const children = node.children.filter(({ frame }) => !isIdle(frame)).map(withoutIdle);
  return { ...node, children, totalUs: children.reduce((sum, child) => sum + child.totalUs, node.selfUs) };
}

function layOut(root: ProfileNode): Box[] {
  const boxes: Box[] = [];
  const usToWidth = root.totalUs === 0 ? 0 : WIDTH / root.totalUs;
  const place = (node: ProfileNode, x: number, depth: number): void => {
    const width = node.totalUs * usToWidth;
    if (width < LEAST_WIDTH) return;
    boxes.push({ node, x, width, depth });
    let at = x;
    for (const child of [...node.children].sort((a, b) => b.totalUs - a.totalUs)) {
      place(child, at, depth + 1);
      at += child.totalUs * usToWidth;
    }
  };
  place(root, MARGIN, 0);
  return boxes;
}

function drawn({ node, x, width, depth }: Box, wholeUs: number, height: number): string {
  const y = height - MARGIN - (depth + 1) * ROW;
  const name = node.frame.functionName || '(anonymous)';
  const file = shortFile(node.frame.url);
  const label = file ? `${name} ${file}:${node.frame.lineNumber + 1}` : name;
  const room = Math.floor((width - 4) / CHARACTER);
  const shown = room < 3 ? '' : label.length <= room ? label : `${label.slice(0, room - 1)}…`;
  const share = wholeUs === 0 ? 0 : (100 * node.totalUs) / wholeUs;
  return (
    `<g><title>${escape(label)}: ${milliseconds(node.totalUs)} ms, ${share.toFixed(1)} %, itself ${milliseconds(node.selfUs)} ms</title>` +
    `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colour(node.frame.url)}"/>` +
    `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escape(shown)}</text></g>`
  );
}

/** Ours, Node's, the libraries', the machine's. */
function colour(url: string): string {
  if (url.includes('/node_modules/')) return '#f0c674';
  if (url.startsWith('node:')) return '#b5d6a7';
  return url === '' ? '#d0d0d0' : '#e88f7a';
}

function shortFile(url: string): string {
  const inModules = url.lastIndexOf('/node_modules/');
  if (inModules >= 0) return url.slice(inModules + '/node_modules/'.length);
  return url.replace(/^.*\/(?=(?:src|protocols|testnet|scripts)\/)/, '');
}

function milliseconds(us: number): string {
  return (us / 1000).toFixed(us < 100_000 ? 1 : 0);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
