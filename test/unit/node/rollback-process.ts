// A process that rolls a chain back, one line a height, until it is killed.
import { loadConfig } from '../../../src/config.ts';
import { nopLogger } from '../../../src/log.ts';
import { StoppedChain } from '../../../src/node/stopped-chain.ts';

const [, , home = '', to = ''] = process.argv;
const chain = await StoppedChain.open({
  home,
  chainId: 'ait-devnet',
  config: loadConfig({ fileText: '' }),
  log: nopLogger,
});
await chain.rebuild(Math.min(Number(to), chain.height), (height) => {
  console.log(height);
});
await chain.close();
