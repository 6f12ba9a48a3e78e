import test from 'ava';
import fc from 'fast-check';
import {imdnMessageId, parseCpim, requestedDispositions} from '../../lib/codecs/cpim.ts';
import {
  GROUP_STATE_TYPE,
  formatGroupState,
  formatGroupStateCpim,
  groupStateIn,
  isGroupState,
  parseGroupState,
} from '../../lib/codecs/group-state.ts';
import {formatMultipart} from '../../lib/codecs/multipart.ts';
import type {GroupState} from '../../lib/cpm/group-state.ts';
import {CpmError} from '../../lib/errors.ts';

const lunch: GroupState = {
  lastFocusSessionId: 'sip:conf-1@focus.example;ocid=1&2',
  timestamp: '2026-11-20T10:00:00Z',
  groupType: 'Closed',
  participants: [
    {name: 'Bob', address: 'tel:+15550102', yourOwn: true},
    {name: '', address: 'sip:carol@home.example', yourOwn: false, role: 'Administrator'},
  ],
  subject: {
    text: 'Lunch & more',
    participant: {name: '', address: 'sip:carol@home.example', yourOwn: false},
    timestamp: '2026-11-20T09:00:00Z',
  },
  icon: {uri: 'https://icons.example/1', timestamp: '2026-11-20T09:30:00Z'},
  maxUserCount: 100,
  policy: 'rem-admin',
};

/** Without the properties that are undefined. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('E9: an object is written in the order of the schema, escaped', (t) => {
  t.is(
    formatGroupState({...lunch, interworkingNumber: 'tel:+15550999', removed: true, referredBy: 'tel:+15550101'}),
    '<?xml version="1.0" encoding="UTF-8"?>\r\n' +
      '<groupstate timestamp="2026-11-20T10:00:00Z" lastfocussessionid="sip:conf-1@focus.example;ocid=1&amp;2" group-type="Closed" iw-number="tel:+15550999">' +
      '<participant name="Bob" comm-addr="tel:+15550102" yourown="true"/>' +
      '<participant name="" comm-addr="sip:carol@home.example" role="Administrator"/>' +
      '<status>removed</status><referred-by>tel:+15550101</referred-by>' +
      '<subject><text>Lunch &amp; more</text><participant name="" comm-addr="sip:carol@home.example"/><timestamp>2026-11-20T09:00:00Z</timestamp></subject>' +
      '<icon><source><icon-uri>https://icons.example/1</icon-uri></source><timestamp>2026-11-20T09:30:00Z</timestamp></icon>' +
      '<max-user-count>100</max-user-count><policy>rem-admin</policy></groupstate>\r\n',
  );
});

test('8.3.2.3: a removal is written in the form of the change request, or in that of the later Message Storage', (t) => {
  const removed: GroupState = {
    ...lunch,
    subject: undefined,
    icon: undefined,
    removed: true,
    referredBy: 'sip:carol@home.example',
  };
  t.regex(
    formatGroupState(removed, '2.2'),
    /<status><removed><participant name="" comm-addr="sip:carol@home.example" role="Administrator"\/><\/removed><\/status><max/,
  );
  t.regex(
    formatGroupState({...removed, referredBy: 'tel:+1'}, '2.2'),
    /<removed><participant name="" comm-addr="tel:\+1"\/>/,
  );
  t.regex(formatGroupState({...removed, referredBy: undefined}, '2.2'), /<status><removed\/><\/status>/);
  t.regex(formatGroupState({...removed, referredBy: undefined}), /<status>removed<\/status><max/);
  for (const dialect of ['2.1', '2.2'] as const)
    for (const state of [removed, {...removed, referredBy: undefined}])
      t.deepEqual(plain(parseGroupState(formatGroupState(state, dialect))), plain(state));
});

test('E9: elements are read in any order, attributes in any case of their values, unknown ones are left out', (t) => {
  t.deepEqual(
    plain(
      parseGroupState(`<?xml version="1.0" encoding="UTF-8"?>
<groupstate contributionid="abc" group-type="closed" lastfocussessionid="da9274453@company.com" timestamp="2010-06-07T13:20:00-05:00">
  <max-user-count>10</max-user-count><policy>rem-admin</policy>
  <icon><icon-uri>http://icons.example/x</icon-uri></icon>
  <status> Removed </status><referred-by> sip:carol@home.example </referred-by>
  <subject>Lunch</subject>
  <other xmlns="urn:x"><participant comm-addr="tel:+1"/></other>
  <participant name="bob" comm-addr="tel:+16135551210" YOURS="1" yourown="1"/>
  <participant name="alice"/>
  <participant comm-addr="tel:+16135551211" role="Guest"/>
</groupstate>`),
    ),
    {
      lastFocusSessionId: 'da9274453@company.com',
      timestamp: '2010-06-07T13:20:00-05:00',
      groupType: 'Closed',
      participants: [
        {name: 'bob', address: 'tel:+16135551210', yourOwn: true},
        {name: '', address: 'tel:+16135551211', yourOwn: false, role: 'Guest'},
      ],
      removed: true,
      referredBy: 'sip:carol@home.example',
      subject: {text: 'Lunch'},
      icon: {uri: 'http://icons.example/x'},
      maxUserCount: 10,
      policy: 'rem-admin',
    },
  );
});

test('E9: what an object leaves out is as little as can be: closed, older than all others, no participants', (t) => {
  t.deepEqual(plain(parseGroupState('<g:groupstate xmlns:g="urn:any"><status/></g:groupstate>')), {
    lastFocusSessionId: '',
    timestamp: '1970-01-01T00:00:00Z',
    groupType: 'Closed',
    participants: [],
  });
});

test('8.3.2.9.1.2 C8: on its way to a client an object is CPIM with an id of its own, and asks for no notification', (t) => {
  const bytes = formatGroupStateCpim({
    state: lunch,
    from: '<sip:rcse-standfw@home.example>',
    to: '<tel:+15550102>',
    messageId: 'gso-1',
    dateTime: '2026-11-20T10:00:00Z',
  });
  const cpim = parseCpim(bytes);
  t.is(imdnMessageId(cpim), 'gso-1');
  t.is(cpim.contentType, GROUP_STATE_TYPE);
  t.is(requestedDispositions(cpim).size, 0);
  t.deepEqual(plain(groupStateIn('message/cpim', bytes)), plain(lunch));
});

test('E9: an object is found bare, with its icon beside it, and in CPIM; other content has none', (t) => {
  const xml = Buffer.from(formatGroupState(lunch));
  const related = formatMultipart(
    [
      {headers: [{name: 'Content-Type', value: 'Application/Group-State-Object+XML'}], body: xml},
      {headers: [{name: 'Content-Type', value: 'image/png'}], body: Buffer.from([1, 2, 3])},
    ],
    'icon',
  );
  t.deepEqual(plain(groupStateIn('application/group-state-object+xml; charset=UTF-8', xml)), plain(lunch));
  t.deepEqual(plain(groupStateIn('multipart/related;boundary=icon', related)), plain(lunch));
  t.is(groupStateIn('text/plain', xml), undefined);
  t.is(
    groupStateIn('message/cpim', Buffer.from('From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nx')),
    undefined,
  );
});

test('T12: an object without participants is never written', (t) => {
  t.like(
    t.throws(() => formatGroupState({...lunch, participants: []}), {instanceOf: CpmError}),
    {
      code: 'CPM_GROUP_STATE',
      status: 500,
    },
  );
});

const trimmed = fc.string({unit: 'grapheme', minLength: 1}).filter((each) => each.trim() === each);
const participant = fc.record(
  {name: fc.string({unit: 'grapheme'}), address: trimmed, yourOwn: fc.boolean(), role: trimmed},
  {requiredKeys: ['name', 'address', 'yourOwn']},
);
const anyState = fc.record(
  {
    lastFocusSessionId: trimmed,
    timestamp: trimmed,
    groupType: fc.constantFrom('Open' as const, 'Closed' as const),
    interworkingNumber: trimmed,
    participants: fc.array(participant, {minLength: 1, maxLength: 5}),
    subject: fc.record(
      {text: fc.string({unit: 'grapheme'}), participant, timestamp: trimmed},
      {requiredKeys: ['text']},
    ),
    icon: fc.record({uri: trimmed, file: trimmed, participant, timestamp: trimmed}, {requiredKeys: []}),
    maxUserCount: fc.nat(),
    policy: trimmed,
  },
  {requiredKeys: ['lastFocusSessionId', 'timestamp', 'groupType', 'participants']},
);

test('E9: whatever a group is like, its object is read as it was written', (t) => {
  fc.assert(
    fc.property(
      anyState,
      fc.option(fc.option(trimmed)),
      fc.constantFrom('2.1' as const, '2.2' as const),
      (state, removal, dialect) => {
        const by = typeof removal === 'string' ? {referredBy: removal} : {};
        const given = removal === null ? state : {...state, removed: true, ...by};
        t.deepEqual(plain(parseGroupState(formatGroupState(given, dialect))), plain(given));
      },
    ),
  );
});

test('E9: an object is told by its type, bare or in CPIM; what cannot be read is none', (t) => {
  const bare = {contentType: 'Application/Group-State-Object+XML;charset=utf-8', bytes: Buffer.from('?')};
  const wrapped = formatGroupStateCpim({
    ...{state: lunch, from: '<sip:f>', to: '<sip:t>'},
    messageId: 'm',
    dateTime: 'd',
  });
  const chat = Buffer.from('From: <sip:f>\r\n\r\nContent-Type: text/plain\r\n\r\napplication/group-state-object+xml');
  t.true(isGroupState(bare));
  t.true(isGroupState({contentType: 'message/cpim', bytes: wrapped}));
  t.false(isGroupState({contentType: 'text/plain', bytes: wrapped}));
  t.false(isGroupState({contentType: 'message/cpim', bytes: chat}));
  t.false(isGroupState({contentType: 'message/cpim', bytes: Buffer.from('no headers')}));
});

test('E9 T63: what is no object, has a DTD or is too large is refused with 400; nothing else comes out', (t) => {
  const document = formatGroupState(lunch);
  for (const [broken, code] of [
    ['<group/>', 'CPM_GROUP_STATE'],
    ['', 'CPM_XML'],
    ['<!DOCTYPE groupstate><groupstate/>', 'CPM_XML'],
    [`<groupstate>${'<participant comm-addr="tel:+1"/>'.repeat(9000)}</groupstate>`, 'CPM_XML'],
  ] as const)
    t.like(
      t.throws(() => parseGroupState(broken), {instanceOf: CpmError}),
      {code, status: 400},
      broken.slice(0, 80),
    );
  fc.assert(
    fc.property(fc.nat(document.length), fc.nat(80), fc.string({unit: 'binary', maxLength: 5}), (at, length, noise) => {
      try {
        parseGroupState(document.slice(0, at) + noise + document.slice(at + length));
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
});
