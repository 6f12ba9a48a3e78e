/** A core with a controlling function and some phones, for the tests of groups; no Participating Function is between them. */
import type {ExecutionContext} from 'ava';
import {
  startControllingFunction,
  type ControllingFunction,
  type ControllingFunctionOptions,
} from '../../lib/controlling-function/controlling-function.ts';
import {startCore, type Core} from '../../lib/phone/core.ts';
import {startPhone, type Phone, type PhoneOptions} from '../../lib/phone/phone.ts';

export const addressOf = (number: number): string => `sip:+1555010${number}@home.example;user=phone`;

export interface GroupForTest {
  readonly core: Core;
  readonly focus: ControllingFunction;
  readonly phones: readonly [alice: Phone, bob: Phone, carol: Phone];
}

/** Three registered phones; all of it goes away with the test. */
export async function group(
  t: ExecutionContext,
  options: ControllingFunctionOptions = {},
  phone: Partial<PhoneOptions> = {},
): Promise<GroupForTest> {
  t.timeout(60_000);
  const core = await startCore();
  const focus = await startControllingFunction({core, ...options});
  const started = [1, 2, 3].map(async (number) => startPhone({core: core.uri, address: addressOf(number), ...phone}));
  const [alice, bob, carol] = await Promise.all(started);
  if (alice === undefined || bob === undefined || carol === undefined) throw new Error('three phones were started');
  t.teardown(async () => {
    await Promise.all([focus.close(), alice.close(), bob.close(), carol.close()]);
    await core.close();
  });
  for (const each of [alice, bob, carol]) await each.register();
  return {core, focus, phones: [alice, bob, carol]};
}
