/** A whole network for the tests with independent peers: the core, the Participating Function as a process, phones. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {ExecutionContext} from 'ava';
import {freePort, startPf, type PfSettings} from '../../../lib/demo/pf-process.ts';
import {startCore, type Core, type CoreOptions} from '../../../lib/phone/core.ts';
import {startPhone, type Phone, type PhoneOptions} from '../../../lib/phone/phone.ts';

export const aliceAddress = 'sip:+15550101@home.example;user=phone';
export const bobAddress = 'sip:+15550102@home.example;user=phone';

export interface Network {
  readonly core: Core;
  readonly sipPort: number;
  readonly folder: string;
  /** A phone that is switched on; `registered`: and the PF was told. */
  phone(options: Omit<PhoneOptions, 'core'>, registered?: 'registered'): Promise<Phone>;
}

/** Starts it; everything ends with the test. */
export async function startNetwork(
  t: ExecutionContext,
  options: {readonly core?: CoreOptions; readonly more?: PfSettings['more']} = {},
): Promise<Network> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cpm-peers-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  const core = await startCore(options.core);
  t.teardown(() => core.close());
  const sipPort = await freePort();
  const more = options.more ?? {};
  const pf = await startPf({folder, core: core.uri, homeDomain: 'home.example', sipPort, more});
  t.teardown(async () => {
    const status = await pf.stop();
    if (status !== 0) t.log(`the Participating Function ended with ${status ?? 'a signal'}`);
  });
  core.pf = `sip:127.0.0.1:${sipPort};transport=tcp`;
  return {
    core,
    sipPort,
    folder,
    async phone(phoneOptions, registered) {
      const phone = await startPhone({...phoneOptions, core: core.uri});
      t.teardown(() => phone.close());
      if (registered !== undefined) {
        await phone.register();
        await core.told.first(({identity, status}) => identity === phone.address && status === 200);
      }
      return phone;
    },
  };
}
