import test from 'ava';
import {manualClock} from '../../../lib/hooks/test-kit.ts';
import type {Party} from '../../../lib/procedures/party.ts';
import {Refusal} from '../../../lib/procedures/group/refusal.ts';

function refusal() {
  const clock = manualClock();
  const refused = new Refusal({} as Party, 404);
  const state = {said: false};
  const end = refused.said(clock).then(() => (state.said = true));
  return {clock, refused, state, end};
}

test('8.3.2.9.1.3 D4 T50: the BYE waits for the word about each message, and for a moment of silence after it', async (t) => {
  const {clock, refused, state, end} = refusal();
  let told: () => void = () => undefined;
  refused.follows(new Promise<void>((resolve) => (told = resolve)));
  await clock.advance(1000);
  t.false(state.said);
  told();
  await clock.advance(100);
  t.false(state.said);
  await clock.advance(500);
  await end;
  t.true(state.said);
});

test('8.3.2.9.1.3 D3: a client who goes on saying something is told by BYE all the same', async (t) => {
  const {clock, refused, state} = refusal();
  for (let passed = 0; passed < 10_000 && !state.said; passed += 100) {
    refused.follows(Promise.resolve());
    await clock.advance(100);
  }

  t.true(state.said);
});
