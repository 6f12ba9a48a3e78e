/** Two people on one core, for the tests of phones. */
import type {ExecutionContext} from 'ava';
import {startCore, type Core, type CoreOptions} from '../../lib/phone/core.ts';
import {startPhone, type Phone, type PhoneOptions} from '../../lib/phone/phone.ts';

export const aliceAddress = 'sip:+15550101@home.example;user=phone';
export const bobAddress = 'sip:+15550102@home.example;user=phone';

export interface People {
  readonly core: Core;
  readonly alice: Phone;
  readonly bob: Phone;
}

/** A core with two registered phones; all of it goes away with the test. */
export async function people(
  t: ExecutionContext,
  {
    alice = {},
    bob = {},
    core = {},
  }: {alice?: Partial<PhoneOptions>; bob?: Partial<PhoneOptions>; core?: CoreOptions} = {},
): Promise<People> {
  const theCore = await startCore(core);
  const theAlice = await startPhone({core: theCore.uri, address: aliceAddress, ...alice});
  const theBob = await startPhone({core: theCore.uri, address: bobAddress, ...bob});
  t.teardown(async () => {
    await Promise.all([theAlice.close(), theBob.close()]);
    await theCore.close();
  });
  await theAlice.register();
  await theBob.register();
  return {core: theCore, alice: theAlice, bob: theBob};
}
