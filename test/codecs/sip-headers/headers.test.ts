import test from 'ava';
import fc from 'fast-check';
import {asksForIcsi, formatAcceptContact, parseAcceptContact} from '../../../lib/codecs/sip-headers/accept-contact.ts';
import {
  formatAssertedIdentity,
  parseAssertedIdentity,
  parseAssertedService,
  parseServedUser,
} from '../../../lib/codecs/sip-headers/asserted.ts';
import {formatContact, isFocus, parseContacts} from '../../../lib/codecs/sip-headers/contact.ts';
import {opaqueId} from '../../../lib/codecs/sip-headers/cpm-ids.ts';
import {formatFeatures, hasIcsi, hasSipIm, sipInstance} from '../../../lib/codecs/sip-headers/features.ts';
import {formatNameAddr, parseNameAddr} from '../../../lib/codecs/sip-headers/name-addr.ts';
import {compactName, longName} from '../../../lib/codecs/sip-headers/names.ts';
import {formatReferredBy, parseReferredBy} from '../../../lib/codecs/sip-headers/referred-by.ts';
import {parseRequestDisposition} from '../../../lib/codecs/sip-headers/request-disposition.ts';
import {formatSessionExpires, parseMinSe, parseSessionExpires} from '../../../lib/codecs/sip-headers/session-timer.ts';
import {formatSipUri, parseSipUri, sameSipUri} from '../../../lib/codecs/sip-headers/sip-uri.ts';
import {parseParams} from '../../../lib/codecs/tokens.ts';
import {ICSI} from '../../../lib/cpm/feature-tags.ts';
import {CpmError} from '../../../lib/errors.ts';

test('RFC 3261 §20.10: name-addr, bare URIs and their parameters are told apart', (t) => {
  t.like(parseNameAddr('"Mr. Watson" <sip:watson@worcester.bell-telephone.com> ;q=0.7; expires=3600'), {
    displayName: 'Mr. Watson',
    uri: 'sip:watson@worcester.bell-telephone.com',
    params: parseParams('q=0.7;expires=3600'),
  });
  t.like(parseNameAddr('Anonymous <sip:c8oqz84zk7z@privacy.org;x=y>;tag=hyh8'), {
    displayName: 'Anonymous',
    uri: 'sip:c8oqz84zk7z@privacy.org;x=y',
    params: parseParams('tag=hyh8'),
  });
  t.is(parseNameAddr('< sip:a@b >').uri, 'sip:a@b');
  t.like(parseNameAddr('sip:+12125551212@server.phone2net.com;tag=887s'), {
    displayName: undefined,
    uri: 'sip:+12125551212@server.phone2net.com',
    params: parseParams('tag=887s'),
  });
});

test('RFC 3261 §20.10: a formatted address is read back', (t) => {
  fc.assert(
    fc.property(fc.string({minLength: 1}), (name) => {
      const address = {displayName: name.trim() === '' ? 'x' : name, uri: 'sip:a@b;lr', params: parseParams(';tag=1')};
      t.deepEqual(parseNameAddr(formatNameAddr(address)), address);
    }),
  );
});

test('RFC 3325 §9.1: two asserted identities are both read', (t) => {
  const text = '"Cullen Jennings" <sip:fluffy@cisco.com>, tel:+14085264000';
  t.deepEqual(
    parseAssertedIdentity(text).map(({uri}) => uri),
    ['sip:fluffy@cisco.com', 'tel:+14085264000'],
  );
  t.is(formatAssertedIdentity('sip:rcse-standfw@home.example'), '<sip:rcse-standfw@home.example>');
});

test('RFC 6050 §4.1 A7: an asserted service is raw', (t) => {
  t.deepEqual(parseAssertedService(' urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session '), [ICSI.session]);
  t.deepEqual(parseAssertedService('URN:urn-7:x,urn:y'), ['URN:urn-7:x', 'urn:y']);
  t.deepEqual(parseAssertedService('urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session'), []);
});

test('RFC 5502 §4: the served user comes with session case and registration state', (t) => {
  t.deepEqual(parseServedUser('<sip:user@example.com>; sescase=orig; regstate=reg'), {
    uri: 'sip:user@example.com',
    sessionCase: 'orig',
    registrationState: 'reg',
  });
  t.deepEqual(parseServedUser('"B" <tel:+1555;x=y>;RegState=Unreg;SESCASE="term"'), {
    uri: 'tel:+1555;x=y',
    sessionCase: 'term',
    registrationState: 'unreg',
  });
  t.is(parseServedUser('<sip:a@b>;sescase=other').sessionCase, undefined);
});

test('TS 24.229 §7.2A.8.2: one of several encoded ICSIs is enough, whatever the case of the escapes', (t) => {
  const listed =
    '+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg, urn%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.session.group"';
  t.true(hasIcsi(parseParams(listed), ICSI.session));
  t.true(hasIcsi(parseParams(listed), ICSI.pagerMessage));
  t.false(hasIcsi(parseParams(listed), ICSI.largeMessage));
  t.false(
    hasIcsi(parseParams('+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'), ICSI.sessionGroup),
  );
  t.false(hasIcsi(parseParams('+g.3gpp.smsip'), ICSI.session));
  t.true(hasSipIm(parseParams(';+g.oma.sip-im;expires=60')));
});

test('RFC 5626 §4.1 A6: the instance id keeps its brackets and loses its quotes', (t) => {
  t.is(
    sipInstance(parseParams('+sip.instance="<urn:gsma:imei:35469106-056673-0>"')),
    '<urn:gsma:imei:35469106-056673-0>',
  );
  t.is(
    sipInstance(parseParams('+sip.instance=<urn:gsma:imei:35469106-056673-0>')),
    '<urn:gsma:imei:35469106-056673-0>',
  );
  t.is(sipInstance(parseParams('+sip.instance="urn:uuid:1"')), '<urn:uuid:1>');
  t.is(sipInstance(parseParams('+sip.instance')), undefined);
  t.throws(() => formatFeatures({instance: '<urn:x>"\r\nVia: y'}), {instanceOf: CpmError});
});

test('CPM-CF 8.3.2.9.1.1 A6: a Contact carries the given URI, the service and the original device', (t) => {
  const contact = formatContact('sip:pf.home.example;transport=tcp', {
    icsi: ICSI.session,
    instance: '<urn:gsma:imei:35469106-056673-0>',
  });
  t.is(
    contact,
    '<sip:pf.home.example;transport=tcp>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session";+sip.instance="<urn:gsma:imei:35469106-056673-0>"',
  );
  const [read] = parseContacts(contact);
  t.truthy(read);
  if (read === undefined) return;
  t.true(hasIcsi(read.params, ICSI.session));
  t.is(sipInstance(read.params), '<urn:gsma:imei:35469106-056673-0>');
  t.false(isFocus(read));
  t.true(parseContacts('<sip:conf@focus.example>;isfocus').every(isFocus));
  t.deepEqual(parseContacts(' * '), []);
  t.is(formatContact('sip:pf', {isFocus: true}), '<sip:pf>;isfocus');
});

test('RFC 3841 §9.2 A5: predicates of Accept-Contact are separate, require and explicit are no features', (t) => {
  const text =
    '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session", *;+sip.instance="<urn:gsma:imei:1>";require;explicit';
  const predicates = parseAcceptContact(text);
  t.deepEqual(
    predicates.map(({require, explicit, features}) => [require, explicit, [...features.keys()]]),
    [
      [false, false, ['+g.3gpp.icsi-ref']],
      [true, true, ['+sip.instance']],
    ],
  );
  t.is(
    `${formatAcceptContact({icsi: ICSI.session})}, ${formatAcceptContact({instance: 'urn:gsma:imei:1'}, {requireExplicit: true})}`,
    text,
  );
  t.true(asksForIcsi(text, ICSI.session));
  t.false(asksForIcsi(text, ICSI.pagerMessage));
  t.false(asksForIcsi(undefined, ICSI.session));
});

test('RFC 3892 §3 A8: Referred-By gives the address without brackets, cid and text', (t) => {
  t.is(
    parseReferredBy('<sip:referrer@referrer.example>;cid="20398823.2UWQFN309shb3@referrer.example"'),
    'sip:referrer@referrer.example',
  );
  t.is(parseReferredBy('sip:r@ref.example;cid="2UWQFN309shb3@ref.example"'), 'sip:r@ref.example');
  t.is(parseReferredBy('"A <b>" <sip:+1555@home;tk=on>'), 'sip:+1555@home;tk=on');
  t.is(formatReferredBy('tel:+1555;tk=on'), '<tel:+1555;tk=on>');
});

test('RFC 4028 §4: session timers are read and written', (t) => {
  t.deepEqual(parseSessionExpires('4000;refresher=UAC'), {seconds: 4000, refresher: 'uac'});
  t.deepEqual(parseSessionExpires(' 1800 '), {seconds: 1800, refresher: undefined});
  t.is(formatSessionExpires({seconds: 1800, refresher: 'uas'}), '1800;refresher=uas');
  t.is(parseMinSe('60;lr'), 60);
  t.throws(() => parseMinSe('soon'), {instanceOf: CpmError});
});

test('RFC 3841 §9.1: directives of Request-Disposition have no case', (t) => {
  t.deepEqual(parseRequestDisposition('proxy, No-Fork ,sequential'), ['proxy', 'no-fork', 'sequential']);
});

test('E8 T61: CPM ids are opaque', (t) => {
  t.is(opaqueId(' f81d4fae-7dec-11d0-A765-00a0c91e6bf6 '), 'f81d4fae-7dec-11d0-A765-00a0c91e6bf6');
  for (const text of [undefined, '', '  ', 'a b', 'a\r\nb', 'é', 'x'.repeat(513)])
    t.is(opaqueId(text), undefined, text);
});

test('RFC 3261 §7.3.3: every compact form has its long name and back', (t) => {
  const compact = 'abcdefijklmnorstuvxy'.split(/(?=.)/);
  const long = compact.map(longName);
  t.deepEqual(long.slice(0, 4), ['Accept-Contact', 'Referred-By', 'Content-Type', 'Request-Disposition']);
  t.deepEqual(long.map(compactName), compact);
  t.is(longName('X'), 'Session-Expires');
  t.is(longName('Conversation-ID'), 'Conversation-ID');
  t.is(compactName('Conversation-ID'), undefined);
});

test('RFC 3261 §19.1.4: URIs that are equivalent', (t) => {
  const pairs: readonly (readonly [string, string])[] = [
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
  ];
  for (const [a, b] of pairs) t.true(sameSipUri(parseSipUri(a), parseSipUri(b)), `${a} ${b}`);
});

test('RFC 3261 §19.1.4: URIs that are not equivalent', (t) => {
  const pairs: readonly (readonly [string, string])[] = [
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;gr=urn:uuid:1'],
    ['sip:bob@biloxi.com', 'sips:bob@biloxi.com'],
    ...['user=x', 'ttl=1', 'method=x', 'maddr=x', 'transport=x'].map(
      (param) => ['sip:b@c', `sip:b@c;${param}`] as const,
    ),
  ];
  for (const [a, b] of pairs) t.false(sameSipUri(parseSipUri(a), parseSipUri(b)), `${a} ${b}`);
});

test('RFC 3261 §19.1.3: the examples of the standard come back as they were', (t) => {
  const examples = [
    'sip:alice@atlanta.com',
    'sip:alice:secretword@atlanta.com;transport=tcp',
    'sips:alice@atlanta.com?subject=project%20x&priority=urgent',
    'sip:+1-212-555-1212:1234@gateway.com;user=phone',
    'sips:1212@gateway.com',
    'sip:alice@192.0.2.4',
    'sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com',
    'sip:alice;day=tuesday@atlanta.com',
    'sip:callee@[2001:db8::10]:5070;gr',
  ];
  for (const uri of examples) t.is(formatSipUri(parseSipUri(uri)), uri);
  t.is(formatSipUri(parseSipUri('SIPS:a@b:65535')), 'sips:a@b:65535');
  for (const bad of ['tel:+1', 'sip:@b', 'sip:a@', 'sip:a@b:65536', 'sip:a@b c', 'sip:'])
    t.throws(() => parseSipUri(bad), {code: 'CPM_SIP_URI'}, bad);
  t.like(parseSipUri('sip:alice;day=tuesday@atlanta.com'), {user: 'alice;day=tuesday', host: 'atlanta.com'});
});

test('RFC 3261 §25.1: whatever comes in as a header, only CpmError comes out', (t) => {
  const readers: readonly ((text: string) => unknown)[] = [
    parseNameAddr,
    parseAssertedIdentity,
    parseAssertedService,
    parseServedUser,
    parseContacts,
    parseAcceptContact,
    parseReferredBy,
    parseSessionExpires,
    parseMinSe,
    parseRequestDisposition,
    parseSipUri,
    (text) => asksForIcsi(text, ICSI.session),
    (text) => hasIcsi(parseParams(text), ICSI.session),
  ];
  const pieces = fc.constantFrom(
    '"',
    '<',
    '>',
    ',',
    ';',
    '\\',
    'sip:',
    'a',
    '@',
    '%',
    '%4',
    ' ',
    '=',
    '*',
    ':',
    '[',
    '\r\n',
    '+g.3gpp.icsi-ref',
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({unit: 'binary'}), fc.string({unit: pieces})), (text) => {
      for (const read of readers) {
        try {
          read(text);
        } catch (error) {
          t.true(error instanceof CpmError, `${String(error)} from ${JSON.stringify(text)}`);
        }
      }
    }),
  );
  t.pass();
});
