import test from 'ava';
import {parseConferenceInfo} from '../../lib/codecs/conference-info.ts';
import {isType} from '../../lib/codecs/mime.ts';
import {leafParts} from '../../lib/codecs/multipart.ts';
import {resourceListsIn, sessionReplaces} from '../../lib/codecs/resource-lists.ts';
import {parseSdp} from '../../lib/codecs/sdp.ts';
import {msrpMedia} from '../../lib/codecs/sdp-msrp.ts';
import {asksForIcsi} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {isFocus, parseContacts} from '../../lib/codecs/sip-headers/contact.ts';
import {parseReferredBy} from '../../lib/codecs/sip-headers/referred-by.ts';
import {headerOf, parseSipMessage, type SipMessage} from '../../lib/codecs/sip-message.ts';
import {canonicalAddress} from '../../lib/cpm/address.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {type ConferenceState, mergeNotification, unknownConference} from '../../lib/cpm/conference-state.ts';
import {groupStateOf} from '../../lib/cpm/group-state.ts';
import {groupFixture, type GroupFixture} from '../support/group-fixture.ts';

const values = {
  peer: '127.0.0.1:5070',
  pf: '127.0.0.1:5060',
  branch: '77',
  callId: 'c1',
  conversationId: 'Conv-1',
  contributionId: 'Contr-1',
  msrpPort: 2855,
  msrpSession: 's1',
  target: 'sip:pf@127.0.0.1:5060',
  from: '<sip:f@h>;tag=1',
  to: '<sip:t@h>;tag=2',
  cseq: 1,
};

const read = (name: GroupFixture): SipMessage => parseSipMessage(groupFixture(name, values).bytes);
const contentType = (message: SipMessage): string => headerOf(message, 'Content-Type') ?? '';

/** What a PF has to find in an invitation to a group. */
function invitation(name: GroupFixture) {
  const message = read(name);
  const [contact] = parseContacts(headerOf(message, 'Contact') ?? '');
  const sdp = leafParts(message.body, contentType(message)).find((part) => isType(part.contentType, 'application/sdp'));
  const media = msrpMedia(parseSdp(sdp?.body.toString() ?? ''));
  const list = resourceListsIn(contentType(message), message.body);
  return {
    focus: contact !== undefined && isFocus(contact),
    identity: contact?.uri,
    subject: headerOf(message, 'Subject'),
    session: asksForIcsi(headerOf(message, 'Accept-Contact'), ICSI.session),
    path: media?.path,
    ids: [headerOf(message, 'Conversation-ID'), headerOf(message, 'Contribution-ID')],
    purpose: list?.purpose,
    entries: list?.entries ?? [],
    message,
  };
}

test('E9 RFC 5364 §7: a list that stands before the description, in a namespace prefix, is read', (t) => {
  const {entries, message, ...rest} = invitation('invite-list-first');
  t.deepEqual(rest, {
    focus: true,
    identity: 'sip:pfcf-imas-01@127.0.0.1:5070;transport=tcp;oaid=+15550102;ocid=Contr-1',
    subject: 'Mittagessen  &  Kaffee',
    session: true,
    path: ['msrp://127.0.0.1:2855/s1;tcp'],
    ids: ['Conv-1', 'Contr-1'],
    purpose: 'recipient-list-history',
  });
  t.deepEqual(
    entries.map(({uri, displayName, copyControl, count}) => [uri, displayName, copyControl, count]),
    [
      ['tel:+1-555-0102', undefined, 'to', undefined],
      ['sip:+15550101@home.example;user=phone', 'Anna & Söhne', 'to', undefined],
      ['sip:+15550103@other.example;user=phone', undefined, 'cc', undefined],
      ['sip:anonymous@anonymous.invalid', undefined, 'bcc', 2],
    ],
  );
  t.deepEqual(entries.map(sessionReplaces), [undefined, undefined, 'old-session', undefined]);
  t.is(parseReferredBy(headerOf(message, 'Referred-By') ?? ''), 'sip:+15550101@home.example;user=phone?Call-Info=x');
});

test('RFC 4579 §5.2: an invitation without a list is one to a group by its focus alone', (t) => {
  const {message, ...rest} = invitation('invite-description-only');
  t.deepEqual(rest, {
    focus: true,
    identity: 'sip:chat.Contr-1@127.0.0.1:5070;transport=tcp',
    subject: 'Grüße – 昼食 🍜',
    session: true,
    path: ['msrp://127.0.0.1:2855/s1;tcp'],
    ids: ['Conv-1', 'Contr-1'],
    purpose: undefined,
    entries: [],
  });
  t.is(headerOf(message, 'P-Asserted-Identity'), '"Anna" <sip:+15550101@home.example;user=phone>, <tel:+15550101>');
});

test('E9 RFC 4826 §3.2: nested lists, and copy control in the namespace of older servers', (t) => {
  const {focus, entries, message} = invitation('invite-extension');
  t.true(focus);
  t.is(headerOf(message, 'Session-Replaces'), 'one-to-one-session');
  t.deepEqual(
    entries.map(({uri, copyControl, anonymize}) => [canonicalAddress(uri), copyControl, anonymize]),
    [
      ['tel:+15550103', 'to', undefined],
      ['tel:+15550102', undefined, true],
      ['tel:+15550101', undefined, undefined],
    ],
  );
});

test('E9 RFC 4575 §4.6: notifications of a server in the field, put together, are the state of the group', (t) => {
  const after = (state: ConferenceState, name: GroupFixture): ConferenceState => {
    const message = read(name);
    t.true(isType(contentType(message), 'application/conference-info+xml'));
    return mergeNotification(state, parseConferenceInfo(message.body));
  };
  const full = after(unknownConference, 'notify-full');
  t.like(full, {version: 0, refreshNeeded: false, status: {userCount: 3}});
  t.deepEqual(
    full.participants.map(({entity, displayText, yourOwn, roles}) => [entity, displayText, yourOwn, roles]),
    [
      ['tel:+15550102', undefined, true, ['participant']],
      ['sip:+15550101@home.example;user=phone', 'Anna <3', undefined, ['Administrator', 'chairman']],
      ['sip:+15550103@other.example;user=phone', undefined, undefined, undefined],
    ],
  );
  t.like(full.description, {
    subject: 'Mittagessen & Kaffee',
    subjectChange: {participant: 'tel:+15550101', timestamp: '2026-11-20T09:00:00+01:00'},
    icon: {uri: 'https://icons.example/a?b=1&c=2'},
    maximumUserCount: 100,
  });

  const partial = after(full, 'notify-partial');
  t.like(partial, {version: 1, refreshNeeded: false, description: {subject: 'Abendessen'}});
  t.deepEqual(
    partial.participants.map(({entity}) => entity),
    ['tel:+15550102', 'sip:+15550103@other.example;user=phone', 'tel:+15550104'],
  );
  t.is(partial.users[1]?.displayText, 'Anna <3');

  const deleted = after(partial, 'notify-deleted');
  t.true(deleted.ended);
  const {participants, subject} = groupStateOf(deleted, {
    lastFocusSessionId: 'sip:pfcf-imas-01@127.0.0.1:5070',
    timestamp: '2026-11-20T10:00:00Z',
    groupType: 'Closed',
    own: ['sip:+15550102@home.example;user=phone'],
    groupData: true,
  });
  t.deepEqual(
    participants.map(({address, yourOwn}) => [address, yourOwn]),
    [
      ['tel:+15550102', true],
      ['sip:+15550103@other.example;user=phone', false],
      ['tel:+15550104', false],
    ],
  );
  t.is(subject?.text, 'Abendessen');
});

test('E9: a gap in them is noticed', (t) => {
  const full = mergeNotification(unknownConference, parseConferenceInfo(read('notify-full').body));
  const later = {...parseConferenceInfo(read('notify-partial').body), version: 2};
  t.true(mergeNotification(full, later).refreshNeeded);
});
