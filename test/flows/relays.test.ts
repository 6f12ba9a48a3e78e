/** Relays that run by themselves, named in the configuration. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {stringify} from 'yaml';
import {freePort} from '../../lib/demo/pf-process.ts';
import {account} from '../../lib/phone/ledger.ts';
import {runNode} from '../support/child.ts';
import {bobAddress, deployment} from '../support/deployment.ts';

/** `cpm-pf relay --config FILE`, as an operator runs it; answers where it is controlled. */
async function startRelay(t: ExecutionContext): Promise<{control: string; kill(): void; ended: Promise<unknown>}> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cpm-relay-'));
  const control = `127.0.0.1:${await freePort()}`;
  const file = path.join(folder, 'relay.yaml');
  const node = {runtimeDirectory: folder, stateDirectory: folder};
  await writeFile(file, stringify({node, relay: {control, access: {listenPort: 0}, core: {listenPort: 0}}}));
  const child = runNode('lib/cli.ts', ['relay', '--config', file]);
  t.teardown(async () => {
    child.process.kill('SIGTERM');
    await child.ended;
    await rm(folder, {recursive: true, force: true});
  });
  await child.said(/listen/);
  return {control, kill: () => child.process.kill('SIGKILL'), ended: child.ended};
}

test.serial('8.3.2.1: the PF uses the relays that are named, and a session has both legs in one of them', async (t) => {
  const relays = [await startRelay(t), await startRelay(t)];
  const pf = await deployment(t, {config: {relay: {sidecars: relays.map(({control}) => control)}}});
  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await pf.register(alice);
  await pf.register(bob);
  const authorities = new Set<string | undefined>();
  for (let number = 0; number < 8; number++) {
    const chat = await alice.startChat(bobAddress, {contributionId: `contribution-${number}`});
    t.true((await chat.sendText(`hello ${number}`)).accepted);
    authorities.add(/a=path:msrp:\/\/([^/]+)/.exec(chat.call.response.body.toString())?.[1]);
    await chat.end();
  }

  await bob.messages.atLeast(8);
  t.is(authorities.size, 2, 'both relays have their share');
  t.true(account(alice.sent.items, bob.messages.items).identical);
});

test.serial('8.3.2.1: a named relay that dies takes no new sessions, and the others go on', async (t) => {
  const relays = [await startRelay(t), await startRelay(t)];
  const pf = await deployment(t, {config: {relay: {sidecars: relays.map(({control}) => control)}}});
  const alice = await pf.alice();
  await pf.register(alice);
  relays[0]?.kill();
  await relays[0]?.ended;
  await pf.pf.log.first(({msg}) => msg === 'MSRP relay lost');
  for (let number = 0; number < 4; number++) {
    const chat = await alice.startChat(bobAddress, {contributionId: `contribution-${number}`});
    t.true((await chat.sendText(`hello ${number}`)).accepted);
    await chat.end();
  }
});
