/** A message that rides in an INVITE of a group session: kept before the focus's is answered, forwarded with the client's, or refused (E1). */
import test from 'ava';
import {leafParts} from '../../lib/codecs/multipart.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';
import {chatMessage} from '../../lib/phone/chat-messages.ts';
import {Refused, type Phone} from '../../lib/phone/phone.ts';
import {bobWasThere, carolAddress, daveAddress, groupDeployment, groupUri, ids} from '../support/group-deployment.ts';
import {withRawFocus} from '../support/raw-focus.ts';

const cpim = (text: string): Buffer =>
  chatMessage({messageId: `id-${text}`, dispositions: [], contentType: 'text/plain', content: Buffer.from(text)});
const textsOf = ({messages}: Phone): readonly string[] => messages.items.map(({text}) => text);

/** The same body with one part more. */
const beside =
  (message: Buffer) =>
  (body: string): string =>
    body.replace(
      /--next part--\s*$/,
      `--next part\r\nContent-Type: message/cpim\r\n\r\n${message.toString()}\r\n--next part--\r\n`,
    );

test.serial(
  '8.3.2.1 C1 E1: a message in the INVITE of a focus is kept before the 200 to it, and comes before what is said then',
  async (t) => {
    const {pf, focus} = await withRawFocus(t);
    const call = await focus.invite('invite-list-first', beside(cpim('one')));
    t.like(await pf.status(), {ledger: {pending: 1}});
    t.regex(await call.say('message/cpim', cpim('two').toString()), /^200/);
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.first(({text}) => text === 'two');
    t.deepEqual(textsOf(bob), ['one', 'two']);
  },
);

test.serial(
  '8.3.2.1 C12 E1: a message in the INVITE of a focus comes to the device that takes it, before what is said then',
  async (t) => {
    const {pf, focus} = await withRawFocus(t);
    const bob = await pf.bob();
    await pf.register(bob);
    const call = await focus.invite('invite-list-first', beside(cpim('one')));
    t.regex(await call.say('message/cpim', cpim('two').toString()), /^200/);
    await bob.messages.first(({text}) => text === 'two');
    t.deepEqual(textsOf(bob), ['one', 'two']);
    t.is(bob.sessions.items.length, 1);
  },
);

test.serial('8.3.2.1 E1: a message in the INVITE of a focus that cannot be read is refused with it', async (t) => {
  const {pf, focus} = await withRawFocus(t);
  const answer = await focus.inviteInVain('invite-list-first', beside(Buffer.from('no headers')));
  t.regex(answer.startLine, /^SIP\/2\.0 400 /);
  t.like(await pf.status(), {ledger: {accepted: 0}});
});

const cpimIn = (invite: SipRequest): readonly string[] =>
  leafParts(invite.body, headerOf(invite, 'Content-Type') ?? '')
    .filter(({contentType}) => contentType?.startsWith('message/cpim'))
    .map(({body}) => body.toString());

test.serial(
  '8.2.2 E1: a message in the INVITE with which a client begins a group goes on to the factory in it',
  async (t) => {
    t.timeout(60_000);
    const {pf, focus} = await groupDeployment(t, {core: {cases: ['orig', 'term']}});
    const bob = await pf.bob();
    await pf.register(bob);
    const message = cpim('one');
    await bob.startGroup(focus.factory, {...ids, members: [carolAddress, daveAddress], first: message});
    const invite = await focus.requests.first(({method}) => method === 'INVITE');
    t.deepEqual(cpimIn(invite), [message.toString()]);
  },
);

test.serial(
  '8.3.2.9.1.3 D1 E1: a message in a re-join is refused with it, 415; without one the client is let in',
  async (t) => {
    const group = await groupDeployment(t, {focus: {keepsForAbsent: true}});
    const {pf} = group;
    await bobWasThere(group);
    const bob = await pf.bob();
    await pf.register(bob);
    const refused = await t.throwsAsync(bob.startGroup(groupUri(pf), {...ids, first: cpim('one')}), {
      instanceOf: Refused,
    });
    t.is(refused.response.status, 415);
    t.regex(headerOf(refused.response, 'Accept') ?? '', /application\/sdp/);
    await bob.startGroup(groupUri(pf), ids);
  },
);
