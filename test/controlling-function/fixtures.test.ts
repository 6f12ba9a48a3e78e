import test from 'ava';
import {startCore} from '../../lib/phone/core.ts';
import {startPhone} from '../../lib/phone/phone.ts';
import {rawFocus} from '../support/raw-focus.ts';
import {addressOf} from './group.ts';

const ids = {conversationId: 'Conv-1', contributionId: 'Contr-1'};

test('RFC 4579 §5.2: a phone is invited, spoken to and told by a focus that shares no code with it', async (t) => {
  t.timeout(60_000);
  const core = await startCore();
  const focus = await rawFocus({core, ...ids});
  const bob = await startPhone({core: core.uri, address: addressOf(2)});
  t.teardown(async () => {
    await bob.close();
    await focus.close();
    await core.close();
  });
  await bob.register();
  for (const name of ['invite-list-first', 'invite-description-only', 'invite-extension'] as const) {
    const call = await focus.invite(name);
    const session = await bob.sessions.first((each) => !each.call.over);
    t.is(session.contributionId, 'Contr-1');
    t.true(session.group !== undefined);
    t.is(
      session.group?.members.length,
      {'invite-list-first': 4, 'invite-description-only': 0, 'invite-extension': 3}[name],
    );
    t.is(
      await call.say(
        'message/cpim',
        `From: <${addressOf(1)}>\r\nTo: <sip:anonymous@anonymous.invalid>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: ${name}\r\n` +
          'imdn.Disposition-Notification: positive-delivery\r\n\r\nContent-Type: text/plain\r\n\r\nhello',
      ),
      '200',
    );
    t.is((await bob.messages.first(({messageId}) => messageId === name)).text, 'hello');
    await call.msrp.until(
      () => call.heard.some(({body}) => body?.includes('<delivered/>') === true),
      'the notification',
    );
    t.regex(call.heard[0]?.body ?? '', /^From: <sip:\+15550102@home\.example;user=phone>\r\nTo: <sip:\+15550101@/);
    t.regex((await call.bye('Reason : SIP ; text="Gone" ; cause=410 ;')).startLine, / 200 /);
    t.deepEqual(await session.ended, {by: 'peer', reason: 'SIP ; text="Gone" ; cause=410 ;'});
  }

  const watching = bob.watch(`sip:focus@${focus.sip.address};transport=tcp`);
  const subscriber = await focus.subscribed();
  const watch = await watching;
  for (const name of ['notify-full', 'notify-partial', 'notify-deleted'] as const)
    t.regex((await subscriber.notify(name)).startLine, / 200 /);
  t.deepEqual(
    watch.states.items.map(({version, refreshNeeded, ended}) => [version, refreshNeeded, ended]),
    [
      [0, false, false],
      [1, false, false],
      [2, false, true],
    ],
  );
  t.deepEqual(
    watch.state.participants.map(({entity}) => entity),
    ['tel:+15550102', 'sip:+15550103@other.example;user=phone', 'tel:+15550104'],
  );
  t.regex(await watch.subscription.ended, /^terminated/);
});
