/**
 * The program in the process of the test, for commands that need no process of their own: what it writes is kept, its
 * environment is what is given, and stdin is no terminal. One at a time.
 */
import { runCli } from '../../../src/cli/program.ts';
import type { Ended, Env } from './run.ts';

export async function cliHere(args: readonly string[], env: Env = {}): Promise<Ended> {
  const before = { ...process.env };
  const terminal = process.stdin.isTTY;
  const [out, err] = [capture(process.stdout), capture(process.stderr)];
  for (const name of Object.keys(before)) if (/^(AITBC|XDG)_|^CREDENTIALS_/.test(name)) delete process.env[name];
  Object.assign(process.env, env);
  process.stdin.isTTY = false;
  try {
    const code = await runCli(args);
    const stdout = out.end();
    return { code, stdout, stderr: err.end(), json: parsed(stdout) };
  } finally {
    out.end();
    err.end();
    process.stdin.isTTY = terminal;
    for (const name of Object.keys(env)) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, before);
  }
}

function capture(stream: NodeJS.WriteStream): { end(): string } {
  const write = stream.write.bind(stream);
  let text = '';
  stream.write = (chunk: Uint8Array | string): boolean => {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    return true;
  };
  return {
    end: () => {
      stream.write = write;
      return text;
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
