/** RFC 6665 in a group session: the PF's own subscription to the conference outlives the time that its focus grants. */
import test from 'ava';
import {bobAddress} from '../support/deployment.ts';
import {ids, knownGroup} from '../support/group-deployment.ts';
import {until} from '../support/persistent-sender.ts';
import {withRawGroup} from '../support/raw-focus.ts';

test.serial(
  'RFC 6665 §4.1.2.2 C2: a focus that grants two seconds is asked in time, in the same dialog; after a 481 it gets a new subscription, and what it says counts',
  async (t) => {
    const {pf, focus, subscriber: first} = await withRawGroup(t, {}, 2);
    const callId = first.request.header('Call-ID');
    const again = await focus.sip.next('SUBSCRIBE');
    t.is(again.header('Call-ID'), callId);
    t.not(again.header('Expires'), '0');
    focus.sip.answer(again, '200 OK', [`Contact: <sip:focus@${focus.sip.address};transport=tcp>`, 'Expires: 2']);
    const third = await focus.sip.next('SUBSCRIBE');
    t.is(third.header('Call-ID'), callId);
    focus.sip.answer(third, '481 Subscription Does Not Exist', []);
    const other = await focus.subscribed();
    t.not(other.request.header('Call-ID'), callId);
    const before = await knownGroup(pf, bobAddress, ids.contributionId);
    await other.notify('notify-full');
    await until(async () => {
      const known = await knownGroup(pf, bobAddress, ids.contributionId);
      return known !== undefined && known.changedAt > (before?.changedAt ?? 0);
    });
  },
);
