/** What a client's refusal of a delivery means for the other senders, and when it is tried again (row A18). */
import test from 'ava';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import type {ChatInvitation, Phone} from '../../lib/phone/phone.ts';
import {bobAddress, deployment, type Deployment, runHasEnded} from '../support/deployment.ts';
import {until} from '../support/persistent-sender.ts';

const patient = {cpm: {deliveryRetrySeconds: [600]}};

const addressOf = (index: number): string => `sip:+1555020${index}@home.example;user=phone`;

/** So many people leave a message for Bob, who is off, one after another; nobody wants to hear of it. */
async function leave(pf: Deployment, count: number): Promise<readonly Phone[]> {
  const people: Phone[] = [];
  for (let index = 0; index < count; index++) {
    const person = await pf.phone(addressOf(index));
    await pf.register(person);
    const chat = await person.startChat(bobAddress);
    const {accepted} = await chat.sendText(`from ${index}`, {dispositions: []});
    if (!accepted) throw new Error('a message was not accepted');
    await chat.end();
    // What the person's registration and the end of the session have set off is over: what follows is Bob's registration alone.
    await pf.pf.log.atLeast(2 * (index + 1), runHasEnded);
    people.push(person);
  }

  return people;
}

const senderOf = ({request}: Pick<ChatInvitation, 'request'>): number =>
  Number(/\+1555020(\d)/.exec(headerOf(request, 'Referred-By') ?? '')?.[1]);

const textsOf = (phone: Phone): readonly string[] => phone.messages.items.map(({text}) => text);

/** The ledger comes to say so: a message is counted a moment after its 200. */
const counted = async (pf: Deployment, what: {readonly pending: number; readonly delivered: number}): Promise<void> =>
  until(async () => {
    const {ledger} = (await pf.status()) as {ledger: Record<string, number>};
    return ledger['pending'] === what.pending && ledger['delivered'] === what.delivered;
  });

const notTaken = 'a delivery was not taken; its messages stay queued';

test.serial(
  '8.3.2.9.1.1 A18 T29: whatever is refused, the next sender has his turn; what stays queued comes with the retry, the same and once',
  async (t) => {
    const statuses = [302, 401, 404, 407, 486, 488, 500, 603, 606];
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [5]}}});
    const people = await leave(pf, statuses.length + 1);
    const bob = await pf.bob();
    const tried = new Set<number>();
    bob.onInvitation = (invitation) => {
      const sender = senderOf(invitation);
      const status = tried.has(sender) ? undefined : statuses[sender];
      tried.add(sender);
      if (status === undefined) void invitation.accept();
      else invitation.refuse(status, status === 302 ? [['Contact', `<${addressOf(9)}>`]] : []);
    };
    await bob.register();
    await bob.messages.first();
    t.deepEqual(textsOf(bob), ['from 9']);
    const lines = await pf.pf.log.atLeast(statuses.length, ({msg}) => msg === notTaken);
    t.deepEqual(
      lines.map(({statuses: said, stop}) => [said, stop]),
      statuses.map((status) => [String(status), false]),
    );
    await counted(pf, {pending: statuses.length, delivered: 1});
    const all = await bob.messages.atLeast(people.length);
    t.deepEqual(
      all.slice(1).map(({messageId}) => messageId),
      people.slice(0, -1).map(({sent}) => sent.items[0]?.messageId),
    );
    t.is(bob.repetitions.items.length, 0);
  },
);

for (const [status, header] of [
  [480, '2'],
  [500, '3 (in a moment);duration=60'],
  [503, '2'],
] as const) {
  test.serial(`RFC 3261 §20.33 A18: a ${status} with Retry-After is not tried again before that`, async (t) => {
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [1], deliveryRetryJitter: 0}}});
    await leave(pf, 1);
    const bob = await pf.bob();
    let refused = 0;
    bob.onInvitation = (invitation) => {
      refused += 1;
      if (refused === 1) invitation.refuse(status, [['Retry-After', header]]);
      else void invitation.accept();
    };
    await bob.register();
    const later = await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
    t.is(later['milliseconds'], Number.parseInt(header, 10) * 1000);
    await bob.messages.first();
    t.is(refused, 2);
  });
}

test.serial('RFC 3261 §20.33 A18: a Retry-After without end is believed as long as configured', async (t) => {
  const pf = await deployment(t, {
    config: {cpm: {deliveryRetrySeconds: [1], longestRetryAfterSeconds: 2, deliveryRetryJitter: 0}},
  });
  await leave(pf, 1);
  const bob = await pf.bob();
  bob.onInvitation = (invitation) => {
    invitation.refuse(503, [['Retry-After', '99999999']]);
  };
  await bob.register();
  const later = await pf.pf.log.first(({msg}) => msg === 'what waits for a user is tried again later');
  t.is(later['milliseconds'], 2000);
});

for (const [what, act] of [
  ['answers 100 and falls silent', () => undefined],
  [
    'rings and falls silent',
    (invitation: ChatInvitation) => {
      invitation.ring();
    },
  ],
] as const) {
  test.serial(`8.3.2.9.1.1 A18: a client that ${what} gets a CANCEL, and the next sender has his turn`, async (t) => {
    const pf = await deployment(t, {core: {handBack: false}, config: {...patient, sip: {inviteSeconds: 1}}});
    await leave(pf, 2);
    const bob = await pf.bob();
    let cancelled: Promise<string | undefined> | undefined;
    bob.onInvitation = (invitation) => {
      if (senderOf(invitation) !== 0) return void invitation.accept();
      act(invitation);
      cancelled = invitation.cancelled;
    };
    await bob.register();
    await bob.messages.first();
    t.deepEqual(textsOf(bob), ['from 1']);
    t.is(await cancelled, 'SIP;cause=408;text="Request Timeout"');
    t.is((await pf.pf.log.first(({msg}) => msg === notTaken))['statuses'], '408');
    await counted(pf, {pending: 1, delivered: 1});
  });
}

test.serial('8.3.2.9.1.1 A18: another status may be configured to stop the delivery for every sender', async (t) => {
  const pf = await deployment(t, {config: {cpm: {...patient.cpm, deferStopsDelivery: [486]}}});
  await leave(pf, 2);
  const bob = await pf.bob();
  bob.onInvitation = (invitation) => {
    invitation.refuse(486);
  };
  await bob.register();
  await pf.pf.log.first(({msg, stop}) => msg === notTaken && stop === true);
  await pf.pf.log.atLeast(5, runHasEnded);
  t.is(bob.requests.items.length, 1);
});

test.serial(
  '8.3.2.9.1.1 A18: after the last retry what waits is parked, /status says so, and the next registration brings it',
  async (t) => {
    const pf = await deployment(t, {config: {cpm: {deliveryRetrySeconds: [1], deliveryRetries: 1}}});
    await leave(pf, 1);
    const bob = await pf.bob();
    bob.onInvitation = (invitation) => {
      invitation.refuse(486);
    };
    await bob.register();
    const {failures} = await pf.pf.log.first(({msg}) => msg.startsWith('what waits for a user is parked'));
    t.is(failures, 2);
    t.like(await pf.status(), {deliveries: {retrying: 0, parked: 1}, ledger: {pending: 1}});
    bob.onInvitation = (invitation) => void invitation.accept();
    await bob.register();
    await bob.messages.first();
    await until(async () => {
      const {deliveries} = (await pf.status()) as {deliveries: Record<string, number>};
      return deliveries['parked'] === 0 && deliveries['running'] === 0;
    });
    t.pass();
  },
);
