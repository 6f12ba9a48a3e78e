import test from 'ava';
import fc from 'fast-check';
import {formatConferenceInfo, parseConferenceInfo} from '../../lib/codecs/conference-info.ts';
import type {ConferenceNotification} from '../../lib/cpm/conference-state.ts';
import {CpmError} from '../../lib/errors.ts';

// RFC 4575 §7.1, its description, and the first endpoint of its two users
const basic = `<?xml version="1.0" encoding="UTF-8"?>
<conference-info
 xmlns="urn:ietf:params:xml:ns:conference-info"
 entity="sips:conf233@example.com"
 state="full" version="1">
<!--
  CONFERENCE INFO
-->
 <conference-description>
  <subject>Agenda: This month's goals</subject>
   <service-uris>
    <entry>
     <uri>http://sharepoint/salesgroup/</uri>
     <purpose>web-page</purpose>
    </entry>
   </service-uris>
  </conference-description>
<!--
   CONFERENCE STATE
  -->
 <conference-state>
  <user-count>33</user-count>
 </conference-state>
<!--
  USERS
-->
 <users>
  <user entity="sip:bob@example.com" state="full">
   <display-text>Bob Hoskins</display-text>
<!--
  ENDPOINTS
-->
   <endpoint entity="sip:bob@pc33.example.com">
    <display-text>Bob's Laptop</display-text>
    <status>disconnected</status>
    <disconnection-method>departed</disconnection-method>
    <disconnection-info>
     <when>2005-03-04T20:00:00Z</when>
     <reason>bad voice quality</reason>
     <by>sip:mike@example.com</by>
    </disconnection-info>
    <media id="1">
     <display-text>main audio</display-text>
     <type>audio</type>
     <label>34567</label>
     <src-id>432424</src-id>
     <status>sendrecv</status>
    </media>
   </endpoint>
  </user>
  <user entity="sip:alice@example.com" state="full">
   <display-text>Alice</display-text>
   <endpoint entity="sip:4kfk4j392jsu@example.com;grid=433kj4j3u">
    <status>connected</status>
    <joining-method>dialed-out</joining-method>
    <joining-info>
     <when>2005-03-04T20:00:00Z</when>
     <by>sip:mike@example.com</by>
    </joining-info>
   </endpoint>
  </user>
 </users>
</conference-info>`;

/** Without the properties that are undefined. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('RFC 4575 §7.1: the example of the standard is read', (t) => {
  t.deepEqual(plain(parseConferenceInfo(basic)), {
    entity: 'sips:conf233@example.com',
    state: 'full',
    version: 1,
    description: {subject: "Agenda: This month's goals"},
    status: {userCount: 33},
    users: {
      state: 'full',
      users: [
        {
          entity: 'sip:bob@example.com',
          state: 'full',
          displayText: 'Bob Hoskins',
          endpoints: [
            {
              entity: 'sip:bob@pc33.example.com',
              state: 'full',
              displayText: "Bob's Laptop",
              status: 'disconnected',
              disconnectionMethod: 'departed',
              disconnectionInfo: {
                when: '2005-03-04T20:00:00Z',
                reason: 'bad voice quality',
                by: 'sip:mike@example.com',
              },
            },
          ],
        },
        {
          entity: 'sip:alice@example.com',
          state: 'full',
          displayText: 'Alice',
          endpoints: [
            {
              entity: 'sip:4kfk4j392jsu@example.com;grid=433kj4j3u',
              state: 'full',
              status: 'connected',
              joiningMethod: 'dialed-out',
              joiningInfo: {when: '2005-03-04T20:00:00Z', by: 'sip:mike@example.com'},
            },
          ],
        },
      ],
    },
  });
});

test('RFC 4575 §5: a group of CPM tells who set subject and icon, who is oneself, and what roles there are', (t) => {
  const {description, status, users} =
    parseConferenceInfo(`<c:conference-info xmlns:c="urn:ietf:params:xml:ns:conference-info"
      entity=" sip:conf-1@focus.example;ocid=1&amp;2 " state="partial" version="7">
    <c:users state="partial"><c:user entity="tel:+15550102" state="partial" yourown="true"><c:roles><c:entry>Administrator</c:entry></c:roles></c:user>
      <c:user entity="tel:+15550103" state="deleted"/><c:user/></c:users>
    <c:conference-state><c:active>1</c:active><c:locked>false</c:locked></c:conference-state>
    <c:conference-description>
      <c:icon><c:timestamp>2026-11-20T09:00:00Z</c:timestamp><c:icon-uri>https://icons.example/1?a=b&amp;c</c:icon-uri><c:participant>tel:+15550101</c:participant></c:icon>
      <c:maximum-user-count>100</c:maximum-user-count>
      <c:subject-ext><c:participant>tel:+15550101</c:participant><c:timestamp>2026-11-20T08:00:00Z</c:timestamp></c:subject-ext>
      <c:subject/><c:policy>rem-admin</c:policy>
    </c:conference-description>
  </c:conference-info>`);
  t.deepEqual(plain(description), {
    subject: '',
    subjectChange: {participant: 'tel:+15550101', timestamp: '2026-11-20T08:00:00Z'},
    icon: {
      uri: 'https://icons.example/1?a=b&c',
      participant: 'tel:+15550101',
      timestamp: '2026-11-20T09:00:00Z',
    },
    maximumUserCount: 100,
    policy: 'rem-admin',
  });
  t.deepEqual(plain(status), {active: true, locked: false});
  t.deepEqual(plain(users), {
    state: 'partial',
    users: [
      {entity: 'tel:+15550102', state: 'partial', yourOwn: true, roles: ['Administrator'], endpoints: []},
      {entity: 'tel:+15550103', state: 'deleted', endpoints: []},
    ],
  });
});

test('RFC 4575 §4.4, §6: without a state a document is full, without a version it has none, unknown values are none', (t) => {
  const document = parseConferenceInfo(
    '<conference-info entity="sip:c@h" version="-1"><users><user entity="sip:a@h" state="x">' +
      '<endpoint state="Deleted"><status>asleep</status><joining-method>walked-in</joining-method></endpoint></user></users></conference-info>',
  );
  t.is(document.state, 'full');
  t.is(document.version, undefined);
  t.deepEqual(plain(document.users), {
    state: 'full',
    users: [{entity: 'sip:a@h', state: 'full', endpoints: [{state: 'deleted'}]}],
  });
});

test('E9 RFC 4575 §6: elements are written in the order of the schema', (t) => {
  t.is(
    formatConferenceInfo({
      entity: 'sip:c@h;a=1&2',
      state: 'partial',
      version: 3,
      users: {
        state: 'partial',
        users: [
          {
            entity: 'sip:a@h',
            state: 'partial',
            yourOwn: true,
            displayText: '<A>',
            roles: ['Administrator'],
            endpoints: [
              {
                entity: 'sip:a@1',
                state: 'full',
                status: 'disconnected',
                joiningMethod: 'dialed-in',
                disconnectionMethod: 'booted',
                disconnectionInfo: {by: 'sip:b@h', reason: 'SIP;cause=410', when: '2026-11-20T10:00:00Z'},
              },
            ],
          },
        ],
      },
      status: {active: true, userCount: 2},
      description: {
        subject: 'Lunch',
        maximumUserCount: 9,
        icon: {uri: 'https://i', timestamp: '2026'},
        subjectChange: {participant: 'sip:a@h'},
      },
    }),
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:c@h;a=1&amp;2" state="partial" version="3">' +
      '<conference-description><subject>Lunch</subject><maximum-user-count>9</maximum-user-count>' +
      '<subject-ext><participant>sip:a@h</participant></subject-ext><icon><icon-uri>https://i</icon-uri><timestamp>2026</timestamp></icon></conference-description>' +
      '<conference-state><user-count>2</user-count><active>true</active></conference-state>' +
      '<users state="partial"><user entity="sip:a@h" state="partial" yourown="true"><display-text>&lt;A&gt;</display-text><roles><entry>Administrator</entry></roles>' +
      '<endpoint entity="sip:a@1" state="full"><status>disconnected</status><joining-method>dialed-in</joining-method><disconnection-method>booted</disconnection-method>' +
      '<disconnection-info><when>2026-11-20T10:00:00Z</when><reason>SIP;cause=410</reason><by>sip:b@h</by></disconnection-info></endpoint></user></users></conference-info>\r\n',
  );
});

const text = fc.string({unit: 'grapheme', minLength: 1}).filter((each) => each.trim() === each);
const state = fc.constantFrom('full' as const, 'partial' as const, 'deleted' as const);
const some = <T>(properties: {[K in keyof T]: fc.Arbitrary<T[K]>}): fc.Arbitrary<Partial<T>> =>
  fc.record(properties, {requiredKeys: []}) as fc.Arbitrary<Partial<T>>;
const execution = some({when: text, reason: text, by: text});
const endpoint = fc.record(
  {
    entity: text,
    state,
    displayText: text,
    status: fc.constantFrom('pending' as const, 'connected' as const, 'disconnected' as const),
    joiningMethod: fc.constantFrom('dialed-in' as const, 'focus-owner' as const),
    joiningInfo: execution,
    disconnectionMethod: fc.constantFrom('departed' as const, 'busy' as const),
    disconnectionInfo: execution,
  },
  {requiredKeys: ['state']},
);
const user = fc.record(
  {
    entity: text,
    state,
    yourOwn: fc.boolean(),
    displayText: text,
    roles: fc.array(text, {maxLength: 3}),
    endpoints: fc.array(endpoint, {maxLength: 2}),
  },
  {requiredKeys: ['entity', 'state', 'endpoints']},
);
const anyDocument = fc.record(
  {
    entity: text,
    state,
    version: fc.nat(),
    description: some({
      displayText: text,
      subject: text,
      subjectChange: some({participant: text, timestamp: text}),
      icon: some({uri: text, file: text, participant: text, timestamp: text}),
      maximumUserCount: fc.nat(),
      policy: text,
    }),
    status: some({userCount: fc.nat(), active: fc.boolean(), locked: fc.boolean()}),
    users: fc.record({state, users: fc.array(user, {maxLength: 4})}),
  },
  {requiredKeys: ['entity', 'state']},
);

test('E9: whatever a conference says, it is read as it was written', (t) => {
  fc.assert(
    fc.property(anyDocument, (document) => {
      t.deepEqual(
        plain(parseConferenceInfo(formatConferenceInfo(document as ConferenceNotification))),
        plain(document),
      );
    }),
  );
});

test('E9 T63: what names no conference, or is none, is refused with 400; nothing else comes out', (t) => {
  for (const [document, code] of [
    ['<conference-info/>', 'CPM_CONFERENCE_INFO'],
    ['<conference-info entity=" "/>', 'CPM_CONFERENCE_INFO'],
    ['<conference-info xmlns="urn:other" entity="sip:c@h"/>', 'CPM_CONFERENCE_INFO'],
    ['<users/>', 'CPM_CONFERENCE_INFO'],
    ['<!DOCTYPE conference-info [<!ENTITY a "b">]><conference-info entity="&a;"/>', 'CPM_XML'],
    [
      `<conference-info entity="sip:c@h"><users>${'<user entity="sip:a@h"/>'.repeat(12_000)}</users></conference-info>`,
      'CPM_XML',
    ],
  ] as const)
    t.like(
      t.throws(() => parseConferenceInfo(document), {instanceOf: CpmError}),
      {code, status: 400},
      document.slice(0, 80),
    );
  fc.assert(
    fc.property(fc.nat(basic.length), fc.nat(80), fc.string({unit: 'binary', maxLength: 5}), (at, length, noise) => {
      try {
        parseConferenceInfo(basic.slice(0, at) + noise + basic.slice(at + length));
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
});
