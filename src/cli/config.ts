/** `aitbc config`: what a node of this home is set to, and by whom. */
import type { Command } from 'commander';
import type { Setting } from '../config.ts';
import { envName, loadConfig, resolveSettings } from '../config.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import type { NodeOptions } from './node-options.ts';
import { addNodeOptions, nodeSources } from './node-options.ts';
import { plural } from './output.ts';

interface ShowOptions extends NodeOptions {
  readonly origin?: boolean;
}

export function register(program: Command): void {
  const config = program.command('config').description('options of the node of this home');
  addNodeOptions(
    config
      .command('show')
      .description('every option as `aitbc start` with the same options and environment would take it')
      .option('--origin', 'say where each value came from'),
  ).action((options: ShowOptions, command: Command) => {
    show(createContext(command), options);
  });
  addNodeOptions(
    config
      .command('check')
      .description('whether `aitbc start` would take them; exits 3 and says what is wrong when not'),
  ).action((options: NodeOptions, command: Command) => {
    check(createContext(command), options);
  });
}

/** Before a restart or a reload. @throws NodeError CONFIG */
function check(context: Context, options: NodeOptions): void {
  const settings = resolveSettings(nodeSources(context, options));
  // What only holds together, such as a height and its hash.
  loadConfig(nodeSources(context, options));
  const set = settings.filter(({ origin }) => origin !== 'default').map(({ path }) => path);
  const { config: file } = context.layout();
  context.out.data(
    { home: context.home, file, valid: true, set },
    `${file} holds: ${plural(set.length, 'option')} set`,
  );
}

/** No option holds a secret: keys, tokens and passwords lie in files, of which options at most name the place. */
function show(context: Context, options: ShowOptions): void {
  const file = context.layout().config;
  const settings = resolveSettings(nodeSources(context, options)).filter(({ value }) => value !== null);
  const document = {
    home: context.home,
    file,
    settings: settings.map((setting) => ({
      option: setting.path,
      value: setting.value,
      origin: setting.origin,
      source: sourceOf(setting, file),
    })),
  };
  const texts = settings.map(({ path, value }) => `${path} = ${JSON.stringify(value)}`);
  const width = Math.min(60, Math.max(...texts.map(({ length }) => length)));
  const lines = settings.map((setting, i) => `${(texts[i] ?? '').padEnd(width)}  # ${originWords(setting, file)}`);
  context.out.data(document, (options.origin === true ? lines : texts).join('\n'));
}

function originWords(setting: Setting, file: string): string {
  const source = sourceOf(setting, file);
  return source === null ? setting.origin : `${setting.origin} ${source}`;
}

/** Variable, file or null. */
function sourceOf({ path, origin }: Setting, file: string): string | null {
  if (origin === 'env') return envName(path);
  return origin === 'file' ? file : null;
}
