import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { ALIASES, expandAliases } from '../../../src/cli/aliases.ts';
import { cliHere } from './in-process.ts';

describe('shell completion', () => {
  const script = async (shell: string): Promise<string> => {
    const { code, stdout, stderr } = await cliHere(['completion', shell]);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  it('completes commands, verbs and options in bash', async () => {
    const text = await script('bash');
    const lines: readonly (readonly [string[], string[], string[]])[] = [
      [['aitbc', ''], ['send', 'wallet', 'completion', '--rpc'], ['create']],
      [['aitbc', 'wal'], ['wallet'], ['watch']],
      [['aitbc', '--chain', 'wallet', 'wallet', 'cr'], ['create'], ['wallet']],
      [['aitbc', 'validator', 'propose', ''], ['add', 'remove', 'rotate'], ['vote']],
      [['aitbc', 'wallet', 'create', 'mine', '--words'], ['--words-file'], ['--rpc']],
      [['aitbc', 'send', 'x', '1', '--from', ''], [], ['send', '--fee']],
    ];
    const run = lines.map(
      ([words]) =>
        `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _aitbc; echo "\${COMPREPLY[*]}"`,
    );
    const { stdout, stderr } = spawnSync('bash', ['-c', `${text}\n${run.join('\n')}`], { encoding: 'utf8' });
    assert.equal(stderr, '');
    for (const [i, answer] of stdout.trimEnd().split('\n').entries()) {
      const [words, offered = [], not = []] = lines[i] ?? [];
      const found = new Set(answer.split(' '));
      for (const word of offered) assert(found.has(word), `${words?.join(' ')}: ${word} in ${answer}`);
      for (const word of not) assert(!found.has(word), `${words?.join(' ')}: ${word} not in ${answer}`);
    }
  });

  it('is made for zsh and fish from the same tree, with what help says', async () => {
    const { stdout: help } = await cliHere(['wallet', '--help']);
    const said = /^ +create \[options\] <name> +(.*)$/m.exec(help)?.[1]?.slice(0, 20) ?? 'missing';
    assert((await script('zsh')).includes(`'create:${said}`));
    const fish = await script('fish');
    assert(fish.includes(`complete -c aitbc -n '__aitbc_at aitbc wallet' -a create -d '${said}`));
    assert.match(fish, /-n '__aitbc_at aitbc wallet create' -l words-file -r -d/);
  });

  it('quotes what a shell would take for code, and is for three shells', async () => {
    for (const shell of ['bash', 'zsh']) {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: await script(shell), encoding: 'utf8' });
      assert.equal(status, 0, `${shell}: ${stderr}`);
    }
    assert.equal((await cliHere(['completion', 'tcsh'])).code, 2);
  });
});

describe('other names of commands', () => {
  const VALUES = new Set(['--rpc', '-n']);
  const expand = (...argv: string[]): string[] => expandAliases(argv, VALUES, () => undefined);

  it('lead to commands that there are', async () => {
    for (const [words, { command }] of ALIASES) {
      const { code, stdout } = await cliHere([...words.split(' '), '--help']);
      assert.equal(code, 0, words);
      assert.match(stdout, new RegExp(`^Usage: aitbc ${command.join(' ')} `), words);
    }
  });

  it('are found behind options, and only as the first two words', () => {
    assert.deepEqual(expand('--rpc', 'u', 'blockchain', '--json', 'head', 'x'), [
      '--rpc',
      'u',
      'chain',
      'head',
      '--json',
      'x',
    ]);
    assert.deepEqual(expand('wallet', 'send', 'bob', '1'), ['send', 'bob', '1']);
    for (const argv of [
      ['send', 'wallet', 'send'],
      ['-n', 'wallet', 'send', 'x'],
      ['--', 'wallet', 'send'],
      ['wallet'],
    ]) {
      assert.deepEqual(expand(...argv), argv);
    }
  });

  it('of the replaced system say what they are now called', async () => {
    const { stderr } = await cliHere(['blockchain', 'head', '--rpc', 'http://127.0.0.1:1']);
    assert.match(stderr, /^aitbc blockchain head is now: aitbc chain head\n✗ nobody answers/);
  });
});
