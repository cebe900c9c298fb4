/** Runs the command line in this process, and writes what was loaded for it: packages, sources of this repository, modules of Node. */
import { registerHooks } from 'node:module';

const [program = '', ...args] = process.argv.slice(2);
const root = new URL('../../../', import.meta.url).href;
const packages = new Set<string>();
const sources = new Set<string>();
const builtins = new Set<string>();

registerHooks({
  load: (url, context, next) => {
    const name = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
    if (name !== undefined) packages.add(name);
    else if (url.startsWith('node:')) builtins.add(url);
    else if (url.startsWith(root)) sources.add(url.slice(root.length));
    return next(url, context);
  },
});

const { runCli } = (await import(program)) as { runCli(argv: readonly string[]): Promise<number> };
process.exitCode = await runCli(args);
process.stdout.write(
  `\n${JSON.stringify({ packages: [...packages], sources: [...sources], builtins: [...builtins] })}\n`,
);
