import test from 'ava';
import {msrpMedia, msrpSections} from '../../lib/codecs/sdp-msrp.ts';
import {parseSdp} from '../../lib/codecs/sdp.ts';
import type {Leg, LegTerms} from '../../lib/ports/media-plane.ts';
import {answerFor, offeredTransports, offerFor, remoteMedia} from '../../lib/procedures/session-description.ts';

const plain: LegTerms = {transport: 'tcp', fingerprint: undefined, hasAuthority: false, setup: 'passive', cema: false};
const secure: LegTerms = {...plain, transport: 'tls', fingerprint: 'SHA-256 00:11'};
const digest = `SHA-256 ${Array.from({length: 32}, () => 'AB').join(':')}`;

const legWith = (terms: LegTerms, more: Partial<Leg> = {}): Leg =>
  ({
    id: 'e/1',
    path: [`msrp${terms.transport === 'tls' ? 's' : ''}://198.51.100.7:2855/pf1;tcp`],
    address: {host: '198.51.100.7', port: 2855, family: 4},
    terms,
    ...more,
  }) as Leg;

const text = (...lines: readonly string[]) =>
  ['v=0', 'o=- 1 1 IN IP4 192.0.2.10', 's=-', 'c=IN IP4 192.0.2.10', 't=0 0', ...lines]
    .map((line) => `${line}\r\n`)
    .join('');
const chat = ['a=accept-types:message/cpim', 'a=accept-wrapped-types:*'];
const tcp = (...more: readonly string[]) => [
  'm=message 7654 TCP/MSRP *',
  'a=path:msrp://192.0.2.10:7654/a;tcp',
  ...chat,
  ...more,
];
const tls = (...more: readonly string[]) => [
  'm=message 7655 TCP/TLS/MSRP *',
  'a=path:msrps://192.0.2.10:7655/b;tcp',
  ...chat,
  ...more,
];
const setup = (sdp: string) => msrpMedia(parseSdp(sdp))?.setup;

test('RFC 6135 §4.2: an offer says actpass, or active with port 9 where nobody can connect to us', (t) => {
  const offer = offerFor(undefined, legWith(plain), 1000);
  t.like(msrpMedia(parseSdp(offer)), {setup: 'actpass', port: 2855});
  const unreachable = offerFor(undefined, legWith({...plain, setup: 'active-only'}), 1000);
  t.like(msrpMedia(parseSdp(unreachable)), {setup: 'active', port: 9});
});

test('RFC 6135 §4.2, RFC 4975 §5.4: an answer takes the role that the offer leaves, and the configured one where it leaves both', (t) => {
  const answered = (offered: string | undefined, own: LegTerms['setup']) => {
    const offer = text(...tcp(...(offered === undefined ? [] : [`a=setup:${offered}`])));
    const leg = legWith({...plain, setup: own});
    const said = setup(answerFor(offer, undefined, leg, 1000).text);
    t.is(said, remoteMedia(offer, 'offer', leg).connection);
    return said;
  };
  const offers = ['active', 'passive', 'actpass', 'holdconn', undefined] as const;
  t.deepEqual(
    offers.map((offered) => answered(offered, 'passive')),
    ['passive', 'active', 'passive', 'passive', 'passive'],
  );
  t.deepEqual(
    offers.map((offered) => answered(offered, 'active')),
    ['passive', 'active', 'active', 'passive', 'passive'],
  );
  t.deepEqual(
    (['passive', 'actpass'] as const).map((offered) => answered(offered, 'active-only')),
    ['active', 'active'],
  );
  for (const offered of ['active', 'holdconn', undefined])
    t.throws(() => answered(offered, 'active-only'), {code: 'CPM_MSRP_SETUP'});
});

test('RFC 6135 §4.2, RFC 4975 §5.4: what an answer says, or does not say, makes us the other one', (t) => {
  const role = (answered: string | undefined, own: LegTerms['setup'] = 'passive') =>
    remoteMedia(
      text(...tcp(...(answered === undefined ? [] : [`a=setup:${answered}`]))),
      'answer',
      legWith({...plain, setup: own}),
    ).connection;
  t.deepEqual(
    (['active', 'passive', 'holdconn', undefined] as const).map((answered) => role(answered)),
    ['passive', 'active', 'active', 'active'],
  );
  t.throws(() => role('active', 'active-only'), {code: 'CPM_MSRP_SETUP'});
});

test('RFC 4975 §8.1: of several sessions the first that the leg has the transport for is taken, the others get port 0', (t) => {
  const offer = text(
    'm=audio 5000 RTP/AVP 0',
    'm=message 0 TCP/MSRP *',
    'm=message 7000 TCP/MSRP *',
    'a=path:nothing',
    ...tls('a=setup:actpass', `a=fingerprint:${digest}`),
    ...tcp('a=setup:active', 'a=max-size:77'),
    ...tcp('a=setup:active'),
  );
  t.deepEqual(offeredTransports(offer), ['tls', 'tcp', 'tcp']);
  const ports = (terms: LegTerms) =>
    parseSdp(answerFor(offer, undefined, legWith(terms), 1000).text).sections.map(({port}) => port);
  t.deepEqual(ports(secure), [0, 0, 0, 2855, 0, 0]);
  t.deepEqual(ports(plain), [0, 0, 0, 0, 2855, 0]);
  t.is(remoteMedia(offer, 'offer', legWith(plain)).maxSize, 77);
  t.deepEqual(remoteMedia(offer, 'offer', legWith(secure)).fingerprints, [digest]);
});

test('CPM-CF 5.2.1.2: the device’s answer to our one session speaks for the session that was taken', (t) => {
  const offer = text(...tls(`a=fingerprint:${digest}`), ...tcp('a=max-size:5000'));
  const device = text(...tls('a=max-size:300', `a=fingerprint:${digest}`));
  const answer = msrpSections(parseSdp(answerFor(offer, device, legWith(plain), 1000).text));
  t.deepEqual(
    answer.map(({port, maxSize}) => [port, maxSize]),
    [
      [0, undefined],
      [2855, 300],
    ],
  );
  t.like(msrpMedia(parseSdp(offerFor(offer, legWith(plain), 6000))), {tls: false, acceptTypes: ['message/cpim']});
});

test('RFC 4975 §8.1: an offer with no session that could be used gets 488', (t) => {
  const offers = [
    text('m=audio 5000 RTP/AVP 0'),
    text('m=message 0 TCP/MSRP *', 'a=path:msrp://192.0.2.10:7654/a;tcp'),
    text('m=message 7654 TCP/MSRP *'),
    text('m=message 7654 TCP/MSRP *', 'a=path:msrps://192.0.2.10:7654/a;tcp'),
    text('m=message 7654 TCP/TLS/MSRP *', 'a=path:msrp://192.0.2.10:7654/a;tcp'),
    text('m=message 7654 TCP/MSRP *', 'a=path:msrp://192.0.2.10:7654/a;ws'),
  ];
  for (const offer of offers) t.throws(() => offeredTransports(offer), {code: 'CPM_NO_MSRP_PATH'}, offer);
  t.throws(() => remoteMedia(text(...tcp()), 'answer', legWith(secure)), {code: 'CPM_NO_MSRP_PATH'});
});

test('RFC 8122 §5: over TLS our fingerprint is in what we say, and the peer’s has to be in his', (t) => {
  const offer = text(...tls(`a=fingerprint:${digest}`, 'a=fingerprint:sha-1 00'));
  const answer = msrpMedia(parseSdp(answerFor(offer, undefined, legWith(secure), 1000).text));
  t.like(answer, {tls: true, fingerprints: ['SHA-256 00:11'], path: ['msrps://198.51.100.7:2855/pf1;tcp']});
  const inherited = text(...tls()).replace('t=0 0', `t=0 0\r\na=fingerprint:${digest}`);
  t.deepEqual(remoteMedia(inherited, 'offer', legWith(secure)).fingerprints, [digest]);
  for (const bad of [text(...tls()), text(...tls('a=fingerprint:MD5 00:11')), text(...tls('a=fingerprint:SHA-256 AB'))])
    t.throws(() => remoteMedia(bad, 'offer', legWith(secure)), {code: 'CPM_MSRP_FINGERPRINT'});
  t.deepEqual(remoteMedia(text(...tls()), 'offer', legWith({...secure, hasAuthority: true})).fingerprints, []);
});

test('RFC 6714 §4: with a=msrp-cema on both sides c= and m= say where to connect, otherwise the path does', (t) => {
  const behind = (...more: readonly string[]) =>
    text('m=message 9999 TCP/MSRP *', 'c=IN IP6 2001:db8::5', 'a=path:msrp://10.0.0.1:1/a;tcp', ...chat, ...more);
  const address = (sdp: string, terms: LegTerms) => remoteMedia(sdp, 'answer', legWith(terms)).address;
  const speaking = {...plain, cema: true};
  t.deepEqual(address(behind('a=msrp-cema'), speaking), {host: '2001:db8::5', port: 9999});
  t.is(address(behind('a=msrp-cema'), plain), undefined);
  t.is(address(behind(), speaking), undefined);
  t.true(msrpMedia(parseSdp(offerFor(undefined, legWith(speaking), 1)))?.cema);
  t.false(msrpMedia(parseSdp(offerFor(undefined, legWith(plain), 1)))?.cema);
  const answersWith = (offer: string, terms: LegTerms) =>
    msrpMedia(parseSdp(answerFor(offer, undefined, legWith(terms), 1).text))?.cema;
  t.deepEqual(
    [
      answersWith(behind('a=msrp-cema'), speaking),
      answersWith(behind(), speaking),
      answersWith(behind('a=msrp-cema'), plain),
    ],
    [true, false, false],
  );
});

test('RFC 6714 §5: over TLS the way through a middlebox needs a fingerprint', (t) => {
  const trusting = {...secure, cema: true, hasAuthority: true};
  const behind = (...more: readonly string[]) => text(...tls('a=msrp-cema', ...more));
  t.is(remoteMedia(behind(), 'answer', legWith(trusting)).address, undefined);
  t.deepEqual(remoteMedia(behind(`a=fingerprint:${digest}`), 'answer', legWith(trusting)).address, {
    host: '192.0.2.10',
    port: 7655,
  });
});

test('E6 RFC 3264 §8: the same offer again gets the same answer, another one a version more', (t) => {
  const offer = text(...tcp('a=setup:active'));
  const first = answerFor(offer, undefined, legWith(plain), 1000);
  t.is(answerFor(offer, undefined, legWith(plain), 1000, first), first);
  const other = answerFor(text(...tcp('a=setup:passive')), undefined, legWith(plain), 1000, first);
  t.is(other.origin.version, 2);
});

test('RFC 4976 §5: a path of ours with relays is told whole, and theirs is where messages go in exact ranges', (t) => {
  const path = ['msrp://relay.example:2855/x;tcp', 'msrp://198.51.100.7:2855/pf1;tcp'];
  t.deepEqual(msrpMedia(parseSdp(offerFor(undefined, legWith(plain, {path}), 1000)))?.path, path);
  const far = text(
    'm=message 2855 TCP/MSRP *',
    'a=path:msrp://relay.example:2855/y;tcp msrp://192.0.2.10:7654/a;tcp',
    ...chat,
  );
  t.like(remoteMedia(far, 'offer', legWith(plain)), {
    path: ['msrp://relay.example:2855/y;tcp', 'msrp://192.0.2.10:7654/a;tcp'],
    chunks: 'explicit',
  });
});
