/**
 * Around `npm pack` and `npm publish`: the package carries node-llama-cpp in itself, without what this program never uses of
 * it. npm ignores the `overrides` of a dependency, and these alone keep out 725 MB of binaries for graphics cards; the two
 * for a CPU are dependencies of this package. The sources from which llama.cpp could be compiled, 34 MB, stay out as well.
 * `--restore` puts back the manifest as npm installed it.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const manifest = new URL('../node_modules/node-llama-cpp/package.json', import.meta.url);
const whole = new URL('package.json.whole', manifest);

if (process.argv.includes('--restore')) restore();
else slim();

function slim() {
  restore();
  const text = readFileSync(manifest, 'utf8');
  const { optionalDependencies: _binaries, scripts: _scripts, devDependencies: _dev, ...kept } = JSON.parse(text);
  const files = ['dist/**/*.js', 'templates/packed/', 'bins/', 'llama/**/*.json', 'LICENSE', 'README.md'];
  writeFileSync(whole, text);
  writeFileSync(manifest, `${JSON.stringify({ ...kept, files }, null, 2)}\n`);
}

function restore() {
  if (existsSync(whole)) renameSync(whole, manifest);
}
