import test from 'ava';
import fc from 'fast-check';
import {formatConferenceInfo, parseConferenceInfo} from '../../lib/codecs/conference-info.ts';
import {
  beforeTeardown,
  type ConferenceEndpoint,
  type ConferenceNotification,
  type ConferenceState,
  type ConferenceUser,
  type EndpointChange,
  invitedConference,
  mergeNotification,
  newSubscription,
  noteDepartures,
  takesPart,
  unknownConference,
} from '../../lib/cpm/conference-state.ts';

const entity = 'sip:conf-1@focus.example';
const connected: EndpointChange = {entity: 'sip:device', state: 'full', status: 'connected'};
const gone = (disconnectionMethod: 'departed' | 'booted' | 'failed' | 'busy', reason?: string): EndpointChange => ({
  entity: 'sip:device',
  state: 'full',
  status: 'disconnected',
  disconnectionMethod,
  disconnectionInfo: {reason},
});

type User = NonNullable<ConferenceNotification['users']>['users'][number];
const user = (name: string, ...endpoints: EndpointChange[]): User => ({
  entity: `sip:${name}@home.example`,
  state: 'full',
  endpoints,
});
const notification = (
  version: number | undefined,
  state: ConferenceNotification['state'],
  users?: readonly User[],
  more: Partial<ConferenceNotification> = {},
): ConferenceNotification => ({
  entity,
  state,
  version,
  users: users && {state: state === 'partial' ? 'partial' : 'full', users},
  ...more,
});
const after = (...notifications: readonly ConferenceNotification[]): ConferenceState =>
  notifications.reduce((known, each) => mergeNotification(known, each), unknownConference);
const names = (users: readonly ConferenceUser[]): string[] =>
  users.map(({entity: uri}) => uri.slice('sip:'.length, uri.indexOf('@')));

const first = notification(1, 'full', [user('alice', connected), {...user('bob', connected), yourOwn: true}], {
  description: {subject: 'Lunch'},
  status: {userCount: 2},
});

test('RFC 4575 §4.6: a full document is all that is known, a partial one changes what it names', (t) => {
  const state = after(
    first,
    notification(2, 'partial', [user('carol', connected)]),
    notification(3, 'partial', [{...user('alice'), state: 'deleted'}], {description: {subject: 'Dinner'}}),
  );
  t.like(state, {version: 3, refreshNeeded: false, ended: false, description: {subject: 'Dinner'}});
  t.deepEqual(names(state.users), ['bob', 'carol']);
  t.deepEqual(state.status, {userCount: 2});

  const replaced = mergeNotification(state, notification(9, 'full', [user('dan', connected)]));
  t.deepEqual([names(replaced.users), replaced.description, replaced.status], [['dan'], {}, {}]);
  t.false(replaced.refreshNeeded);
});

test('RFC 4575 §4.6: what a partial element leaves out has not changed, what a full one leaves out is gone', (t) => {
  const alice = {...user('alice', connected, {...connected, entity: 'sip:tablet'}), displayText: 'Alice', roles: ['x']};
  const changed = after(
    notification(1, 'full', [alice]),
    notification(2, 'partial', [
      {
        ...user(
          'alice',
          {entity: 'sip:device', state: 'partial', status: 'on-hold'},
          {entity: 'sip:tablet', state: 'deleted'},
        ),
        state: 'partial',
        yourOwn: true,
      },
    ]),
  );
  t.deepEqual(changed.users, [
    {
      entity: alice.entity,
      displayText: 'Alice',
      roles: ['x'],
      yourOwn: true,
      endpoints: [{entity: 'sip:device', status: 'on-hold'}],
    },
  ]);
  t.deepEqual(mergeNotification(changed, notification(3, 'partial', [user('alice')])).users, [
    {entity: alice.entity, endpoints: []},
  ]);
  const allGone = mergeNotification(changed, {...notification(3, 'partial'), users: {state: 'deleted', users: []}});
  t.deepEqual(allGone.users, []);
});

test('RFC 4575 §4.6: a document that is not newer changes nothing', (t) => {
  const state = after(first, notification(2, 'partial', [user('carol', connected)]));
  for (const stale of [first, notification(2, 'full', []), notification(0, 'deleted')])
    t.is(mergeNotification(state, stale), state);
});

test('RFC 4575 §4.6: after a gap a refresh is needed, whatever follows, until a full document comes', (t) => {
  const gap = after(first, notification(3, 'partial', [user('carol', connected)]));
  t.like(gap, {version: 3, refreshNeeded: true});
  t.deepEqual(names(gap.users), ['alice', 'bob', 'carol']);
  const further = mergeNotification(gap, notification(4, 'partial', []));
  t.true(further.refreshNeeded);
  t.true(mergeNotification(further, notification(3, 'full', [])).refreshNeeded);
  t.false(mergeNotification(further, notification(5, 'full', [])).refreshNeeded);
});

test('RFC 4575 §4.6: a subscription that begins with a partial document needs a refresh at once', (t) => {
  t.true(unknownConference.refreshNeeded);
  t.like(after(notification(0, 'partial', [user('alice', connected)])), {version: 0, refreshNeeded: true});
});

test('RFC 4575 §4.3: each subscription counts anew, and what was known stays until its first document', (t) => {
  const again = newSubscription(after(first, notification(7, 'full', [user('alice', connected)])));
  t.like(again, {version: undefined, refreshNeeded: true});
  t.deepEqual(names(again.participants), ['alice']);
  t.like(mergeNotification(again, first), {version: 1, refreshNeeded: false});
});

test('RFC 4575 §6: a focus that does not count is taken at its word', (t) => {
  const state = after(
    notification(undefined, 'full', [user('alice')]),
    notification(undefined, 'partial', [user('bob')]),
  );
  t.false(state.refreshNeeded);
  t.deepEqual(names(state.users), ['alice', 'bob']);
});

test('8.3.2.3 T12: who is busy, unreachable or only invited takes part; who left, was removed or declined does not', (t) => {
  const part = (endpoint?: ConferenceEndpoint): boolean =>
    takesPart({entity: 'sip:a', endpoints: endpoint === undefined ? [] : [endpoint]});
  t.true(part());
  t.true(part(connected));
  t.true(part({status: 'pending'}));
  t.true(part({status: 'disconnected'}));
  t.true(part(gone('busy')));
  t.true(part(gone('failed', 'SIP;cause=480;text="Temporarily Unavailable"')));
  t.false(part(gone('failed', 'Reason: SIP;cause=603;text="Decline"')));
  t.false(part(gone('departed')));
  t.false(part(gone('booted')));
  t.true(takesPart({entity: 'sip:a', endpoints: [gone('departed'), connected]}));
});

test('8.3.2.3 T12: the participants are those from before a focus took everybody away', (t) => {
  const before = after(first, notification(2, 'partial', [user('carol', gone('failed', 'SIP;cause=480'))]));
  t.deepEqual(names(before.participants), ['alice', 'bob', 'carol']);
  const closing = mergeNotification(
    before,
    notification(3, 'partial', [user('alice', gone('booted')), user('carol', gone('departed'))]),
  );
  t.deepEqual(names(closing.participants), ['alice', 'bob', 'carol']);
  t.deepEqual(names(closing.users.filter(takesPart)), ['bob']);
  const over = mergeNotification(closing, notification(4, 'deleted'));
  t.true(over.ended);
  t.deepEqual(names(over.participants), ['alice', 'bob', 'carol']);
  t.deepEqual(over.users, []);
});

test('8.3.2.3 T12: the served user is known by the mark of the focus, or by his address', (t) => {
  const known = mergeNotification(
    unknownConference,
    notification(1, 'full', [user('alice', connected), user('bob', connected)]),
  );
  const alone = notification(2, 'partial', [user('alice', gone('departed'))]);
  t.deepEqual(names(mergeNotification(known, alone).participants), ['bob']);
  const isOwn = ({entity: uri}: ConferenceUser): boolean => uri === 'sip:bob@home.example';
  t.deepEqual(names(mergeNotification(known, alone, {isOwn}).participants), ['alice', 'bob']);
});

test('8.2.2: before the first document those whom the invitation named take part', (t) => {
  const invited = invitedConference([{address: 'tel:+15550101', name: 'Alice'}, {address: 'tel:+15550102'}], {
    subject: 'Lunch',
  });
  t.like(invited, {version: undefined, refreshNeeded: true, description: {subject: 'Lunch'}});
  t.deepEqual(
    invited.participants.map(({entity: uri, displayText}) => [uri, displayText]),
    [
      ['tel:+15550101', 'Alice'],
      ['tel:+15550102', undefined],
    ],
  );
});

test('RFC 4575 §4.6: users beyond the limit are not taken note of', (t) => {
  const many = Array.from({length: 10}, (_, index) => user(`u${index}`, connected));
  const known = mergeNotification(unknownConference, notification(1, 'full', many), {maxUsers: 4});
  t.is(known.users.length, 4);
  t.is(mergeNotification(known, notification(2, 'partial', [user('more')]), {maxUsers: 4}).users.length, 4);
});

// A focus with a state of its own, from which it makes both kinds of documents.

const people = ['alice', 'bob', 'carol', 'dan'] as const;
interface Step {
  readonly who: number;
  readonly what: 'joins' | 'leaves' | 'fails' | 'moves' | 'forgotten' | 'names' | 'ends';
  readonly full: boolean;
  readonly lost: boolean;
}
interface Focus {
  readonly users: ReadonlyMap<string, User>;
  readonly subject: string;
  readonly ended: boolean;
}

const statusOf = (users: Focus['users']): {userCount: number; active: boolean} => ({
  userCount: users.size,
  active: true,
});

/** One change at the focus, and the document that tells it: of changes alone, or of everything. */
function stepped(focus: Focus, {who, what, full}: Step, version: number): {focus: Focus; told: ConferenceNotification} {
  const name = people[who % people.length] ?? 'alice';
  const known = focus.users.get(name);
  const device = (status: EndpointChange): User => ({
    ...user(name, status),
    displayText: `${name} ${version}`,
    ...(name === 'bob' ? {yourOwn: true} : {}),
  });
  const change: User | undefined =
    {
      joins: device(connected),
      leaves: device(gone('departed')),
      fails: device(gone('failed', 'SIP;cause=480')),
      // Only the state of a device changes; everything else of the user stays.
      moves: known && {
        ...user(name, {entity: 'sip:device', state: 'partial', status: 'on-hold'}),
        state: 'partial' as const,
      },
      forgotten: known && {...user(name), state: 'deleted' as const},
      names: undefined,
      ends: undefined,
    }[what] ?? undefined;
  const users = new Map(focus.users);
  if (change?.state === 'deleted') users.delete(name);
  else if (change?.state === 'partial' && known !== undefined)
    users.set(name, {...known, endpoints: known.endpoints.map((each) => ({...each, status: 'on-hold' as const}))});
  else if (change !== undefined) users.set(name, change);
  const next = {
    users: what === 'ends' ? new Map<string, User>() : users,
    subject: what === 'names' ? `subject ${version}` : focus.subject,
    ended: what === 'ends',
  };
  const description = {subject: next.subject};
  const told: ConferenceNotification =
    what === 'ends' || full
      ? everythingOf(next, version)
      : {
          entity,
          state: 'partial',
          version,
          ...(what === 'names' ? {description} : {}),
          ...(change === undefined ? {} : {users: {state: 'partial' as const, users: [change]}}),
          ...(next.users.size === focus.users.size && !focus.ended ? {} : {status: statusOf(next.users)}),
        };
  return {focus: next, told};
}

const isOther = (each: ConferenceUser): boolean => takesPart(each) && each.yourOwn !== true;
const inOrder = (users: readonly ConferenceUser[]): readonly ConferenceUser[] =>
  [...users].sort((a, b) => (a.entity < b.entity ? -1 : 1));

/** All that is made use of. With nobody else there the participants are those of some state before, whichever was known of. */
const shown = ({users, participants, description, status, ended}: ConferenceState): unknown =>
  JSON.parse(
    JSON.stringify({
      users: inOrder(users),
      participants: users.some(isOther) ? inOrder(participants) : 'of before',
      subject: description.subject,
      status,
      ended,
    }),
  );
const everythingOf = ({users, subject, ended}: Focus, version: number): ConferenceNotification =>
  ended
    ? {entity, state: 'deleted', version, description: {subject}}
    : {
        ...{entity, state: 'full', version, description: {subject}, status: statusOf(users)},
        users: {state: 'full', users: [...users.values()]},
      };
const shownOf = (focus: Focus, version: number): unknown => {
  const state = after(everythingOf(focus, version));
  return shown({...state, participants: state.users.filter(takesPart)});
};

const steps = fc.array(
  fc.record({
    who: fc.nat(3),
    what: fc.constantFrom('joins', 'leaves', 'fails', 'moves', 'forgotten', 'names', 'ends'),
    full: fc.boolean(),
    lost: fc.boolean(),
  }),
  {maxLength: 25},
);
const start: Focus = {users: new Map([['alice', user('alice', connected)]]), subject: 'Lunch', ended: false};

function played(story: readonly Step[]): {
  readonly states: readonly Focus[];
  readonly told: readonly ConferenceNotification[];
} {
  const states: Focus[] = [start];
  const told = [everythingOf(start, 0)];
  for (const [index, step] of story.entries()) {
    const {focus, told: document} = stepped(states.at(-1) ?? start, step, index + 1);
    states.push(focus);
    told.push(parseConferenceInfo(formatConferenceInfo(document)));
  }

  return {states, told};
}

test('RFC 4575 §4.6: in any order, with any loss: where no refresh is needed, what is known is the focus’s own state', (t) => {
  let sure = 0;
  fc.assert(
    fc.property(steps, fc.array(fc.nat(1000)), (story, order) => {
      const {states, told} = played(story);
      const arriving = told.filter((_, index) => index === 0 || story[index - 1]?.lost !== true);
      // Neighbours change places here and there: the most that a transport does.
      for (const place of order) {
        const at = place % Math.max(1, arriving.length - 1);
        const [one, other] = [arriving[at], arriving[at + 1]];
        if (one !== undefined && other !== undefined) arriving.splice(at, 2, other, one);
      }

      let known = unknownConference;
      for (const document of arriving) {
        known = mergeNotification(known, document);
        const {version, refreshNeeded} = known;
        const truth = version === undefined ? undefined : states[version];
        if (refreshNeeded || truth === undefined || version === undefined) continue;
        sure++;
        t.deepEqual(shown(known), shownOf(truth, version));
      }
    }),
    {numRuns: 500},
  );
  t.true(sure > 500, `only ${sure} states were sure`);
});

test('RFC 4575 §4.6: in any order, with any loss: the full document that answers the refresh makes it the focus’s own state', (t) => {
  fc.assert(
    fc.property(steps, fc.array(fc.nat(30), {maxLength: 40}), (story, arriving) => {
      const {states, told} = played(story);
      const known = arriving.reduce((state, index) => {
        const document = told[index % told.length];
        return document === undefined ? state : mergeNotification(state, document);
      }, unknownConference);
      const last = states.at(-1) ?? start;
      const answer = everythingOf(last, told.length);
      const refreshed = mergeNotification(known, answer);
      t.false(refreshed.refreshNeeded);
      t.deepEqual(shown(refreshed), shownOf(last, told.length));
      t.is(mergeNotification(refreshed, answer), refreshed);
    }),
    {numRuns: 500},
  );
});

test('8.3.2.3 T12: departures that come one close upon the other, down to the last one, are the end of the conference', (t) => {
  const isOwn = ({entity: uri}: ConferenceUser): boolean => uri.startsWith('sip:bob');
  const all = after(first, notification(2, 'partial', [user('carol', connected), user('dave', connected)]));
  const leave = (known: ConferenceState, name: string): ConferenceState =>
    mergeNotification(known, notification(undefined, 'partial', [user(name, gone('departed'))]), {isOwn});
  const took = (gaps: readonly number[], at: number): string[] => {
    let [known, noted, now] = [all, undefined as ReturnType<typeof noteDepartures>, 0];
    for (const [index, gap] of gaps.entries()) {
      const next = leave(known, ['alice', 'carol', 'dave', 'bob'][index] ?? '');
      now += gap;
      noted = noteDepartures(noted, {before: known, after: next}, now);
      known = next;
    }
    return names(beforeTeardown(known, noted, {isOwn, at: now + at}).participants);
  };

  t.deepEqual(took([0, 10, 10, 10], 100), ['alice', 'bob', 'carol', 'dave']);
  t.deepEqual(took([0, 10, 10], 100), ['alice', 'bob', 'carol', 'dave']);
  // One who left long before is gone; somebody is left, then it is no end; the end itself is long past.
  t.deepEqual(took([0, 60_000, 10, 10], 100), ['bob', 'carol', 'dave']);
  t.deepEqual(took([0, 10], 100), ['bob', 'dave']);
  t.deepEqual(took([0, 10, 10], 60_000), ['bob', 'dave']);

  const [alone, end] = [leave(all, 'alice'), notification(undefined, 'deleted')];
  const ended = mergeNotification(alone, end, {isOwn});
  const noted = noteDepartures(
    noteDepartures(undefined, {before: all, after: alone}, 0),
    {before: alone, after: ended},
    1,
  );
  t.deepEqual(names(beforeTeardown(ended, noted, {isOwn, at: 2}).participants), ['bob', 'carol', 'dave']);
});
