// Holds the documentation against the tree: every relative link, every path of ours in backticks and every
// `npm run` script that a tracked Markdown file names must exist.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const FENCED = /^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\1[^\n]*$/gm;
const INLINE_CODE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)/g;
const LINK = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\s*\[[^\]]+\]:\s*(\S+)/gm;
const REPO_PATH = /^(?:\.\/)?((?:src|protocols|test|testnet|scripts|genesis|bin)\/\S*)/;
const NPM_RUN = /\bnpm run(?:-script)?((?:\s+-{1,2}[a-z][\w-]*)*)\s+([a-z][\w:.-]*)/g;
const OUTSIDE = /^(?:[a-z][a-z0-9+.-]*:|\/\/)/i;

interface Finding {
  readonly line: number;
  readonly text: string;
}

const scripts = readScripts();
const files = execFileSync('git', ['ls-files', '-z', '*.md'], { cwd: root, encoding: 'utf8' })
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)));

let findingCount = 0;
for (const file of files) {
  for (const { line, text } of checkFile(file)) {
    findingCount += 1;
    console.error(`${file}:${line}: ${text}`);
  }
}
console.log(`${files.length} Markdown files, ${findingCount} findings`);
if (findingCount > 0) process.exitCode = 1;

function checkFile(file: string): Finding[] {
  const text = readFileSync(join(root, file), 'utf8');
  const prose = text.replace(FENCED, blank);
  const withoutCode = prose.replace(INLINE_CODE, blank);
  const findings: Finding[] = [];
  const report = (index: number, message: string): void => {
    findings.push({ line: text.slice(0, index).split('\n').length, text: message });
  };

  for (const match of withoutCode.matchAll(LINK)) {
    const target = match[1] ?? match[2] ?? '';
    if (OUTSIDE.test(target) || target.startsWith('#')) continue;
    const path = decodeURIComponent(target.replace(/[#?].*$/, ''));
    if (!existsSync(join(root, path.startsWith('/') ? '.' : dirname(file), path))) {
      report(match.index, `the link ${target} leads nowhere`);
    }
  }
  for (const match of prose.matchAll(INLINE_CODE)) {
    for (const word of match[2]?.split(/\s+/) ?? []) {
      const path = REPO_PATH.exec(word)?.[1];
      if (path !== undefined && !existsSync(join(root, fixedPart(path)))) report(match.index, `${path} does not exist`);
    }
  }
  for (const match of text.matchAll(NPM_RUN)) {
    const script = match[2]?.replace(/[.:]+$/, '') ?? '';
    if (!scripts.has(script)) report(match.index, `package.json has no script ${script}`);
  }
  return findings;
}

/** Drops a line number or anchor; of a path with a placeholder, keeps the folders before it. */
function fixedPart(path: string): string {
  const plain = path
    .replace(/#.*$/, '')
    .replace(/:\d[\d:,-]*$/, '')
    .replace(/[,;:.]+$/, '');
  const placeholder = plain.search(/[*<{[…]|\.\.\./);
  return placeholder === -1 ? plain : plain.slice(0, plain.lastIndexOf('/', placeholder) + 1);
}

/** Same length and lines, no content: positions found afterwards are positions in the file. */
function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

function readScripts(): Set<string> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  return new Set(Object.keys(manifest.scripts));
}
