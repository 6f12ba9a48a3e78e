import test from 'ava';
import type {ConferenceState} from '../../lib/cpm/conference-state.ts';
import {asSubject} from '../../lib/cpm/group-session.ts';
import {type GroupFacts, groupStateOf} from '../../lib/cpm/group-state.ts';

const conference: Pick<ConferenceState, 'participants' | 'description'> = {
  participants: [
    {entity: 'sip:+1-555-0101@home.example;user=phone', displayText: 'Alice', roles: ['Administrator'], endpoints: []},
    {entity: 'sip:+15550102@home.example', endpoints: []},
    {entity: 'sip:carol@home.example', displayText: 'Carol', yourOwn: false, endpoints: []},
  ],
  description: {
    subject: 'Lunch',
    subjectChange: {participant: 'tel:+15550101', timestamp: '2026-11-20T09:00:00Z'},
    icon: {uri: 'https://icons.example/1', participant: 'sip:dan@home.example'},
    maximumUserCount: 10,
    policy: 'rem-admin',
  },
};
const facts: GroupFacts = {
  lastFocusSessionId: 'sip:conf-1@focus.example',
  timestamp: '2026-11-20T10:00:00Z',
  groupType: 'Closed',
  own: ['tel:+15550102'],
  groupData: true,
};

test('8.3.2.3 B4: the object has the participants whom the conference was last known to have, the served user marked', (t) => {
  const state = groupStateOf(conference, {...facts, removed: true, referredBy: 'tel:+15550101'});
  t.deepEqual(state.participants, [
    {name: 'Alice', address: 'sip:+1-555-0101@home.example;user=phone', yourOwn: false, role: 'Administrator'},
    {name: '', address: 'sip:+15550102@home.example', yourOwn: true, role: undefined},
    {name: 'Carol', address: 'sip:carol@home.example', yourOwn: false, role: undefined},
  ]);
  t.like(state, {
    lastFocusSessionId: 'sip:conf-1@focus.example',
    timestamp: '2026-11-20T10:00:00Z',
    groupType: 'Closed',
    removed: true,
    referredBy: 'tel:+15550101',
    maxUserCount: 10,
    policy: 'rem-admin',
  });
  t.false('own' in state || 'groupData' in state);
});

test('8.3.2.3 B4 T49: subject and icon are in it where they may be changed, with who set them', (t) => {
  const {subject, icon} = groupStateOf(conference, facts);
  t.deepEqual(
    [subject?.text, subject?.participant?.name, subject?.timestamp],
    ['Lunch', 'Alice', '2026-11-20T09:00:00Z'],
  );
  t.deepEqual(
    [icon?.uri, icon?.participant],
    ['https://icons.example/1', {name: '', address: 'sip:dan@home.example', yourOwn: false}],
  );
});

test('8.3.2.3 B4: a subject that is known from elsewhere counts, who changed it only where it is that of the conference', (t) => {
  const of = (subject: string, description = conference.description) =>
    groupStateOf({...conference, description}, {...facts, subject}).subject;
  t.deepEqual(of('Dinner'), {text: 'Dinner', participant: undefined, timestamp: undefined});
  t.deepEqual(of('Dinner', {}), {text: 'Dinner', participant: undefined, timestamp: undefined});
  t.like(of('Lunch'), {text: 'Lunch', timestamp: '2026-11-20T09:00:00Z'});
  // As the header has it, which is one line.
  t.like(of('Lunch and more', {...conference.description, subject: 'Lunch\n and more'}), {
    text: 'Lunch\n and more',
    timestamp: '2026-11-20T09:00:00Z',
  });
});

test('RFC 3261 §20.36: a Subject is one line of bounded length', (t) => {
  t.is(asSubject(' Lunch\r\nX-Evil: 1 \t \u0000now '), 'Lunch X-Evil: 1 now');
  t.is(asSubject('\u{1f44b}'.repeat(5000)), '\u{1f44b}'.repeat(200));
  t.is(asSubject(' \n '), undefined);
});

test('8.3.2.3 B4 T49: where they may not, or were taken away, they are left out', (t) => {
  const without = groupStateOf(conference, {...facts, groupData: false});
  t.false('subject' in without || 'icon' in without);
  const empty = groupStateOf({...conference, description: {subject: '', icon: {participant: 'tel:+15550101'}}}, facts);
  t.false('subject' in empty || 'icon' in empty || 'policy' in empty || 'maxUserCount' in empty);
});
