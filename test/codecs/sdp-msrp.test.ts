import test from 'ava';
import fc from 'fast-check';
import {
  type OwnMedia,
  buildAnswer,
  buildOffer,
  connectionRole,
  msrpMedia,
  msrpSections,
} from '../../lib/codecs/sdp-msrp.ts';
import {formatSdp, parseSdp} from '../../lib/codecs/sdp.ts';
import {CpmError} from '../../lib/errors.ts';

const text = (...lines: readonly string[]) => lines.map((line) => `${line}\r\n`).join('');
const SESSION = [
  'v=0',
  'o=alice 2890844557 2890844559 IN IP4 atlanta.example.com',
  's=-',
  'c=IN IP4 atlanta.example.com',
  't=0 0',
];
// The media of RFC 4975 §4
const BASIC = [
  'm=message 7654 TCP/MSRP *',
  'a=accept-types:text/plain',
  'a=path:msrp://atlanta.example.com:7654/jshA7weztas;tcp',
];
// The media of RFC 5547 §9.1
const FILE = [
  'm=message 7654 TCP/MSRP *',
  'i=This is my latest picture',
  'a=sendonly',
  'a=accept-types:message/cpim',
  'a=accept-wrapped-types:*',
  'a=path:msrp://atlanta.example.com:7654/jshA7we;tcp',
  'a=file-selector:name:"My cool picture.jpg" type:image/jpeg size:32349 hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E',
  'a=file-transfer-id:vBnG916bdberum2fFEABR1FR3ExZMUrd',
  'a=file-disposition:attachment',
  'a=file-date:creation:"Mon, 15 May 2006 15:01:31 +0300"',
  'a=file-icon:cid:id2@alicepc.example.com',
  'a=file-range:1-32349',
];
// A CPM client behind a carrier's border, by TLS.
const CHAT = [
  'm=message 9 TCP/TLS/MSRP *',
  'c=IN IP6 2001:db8::10',
  'a=path:msrps://relay.example:2855/aaa;tcp msrps://[2001:db8::10]:9/jshA7we;tcp',
  'a=setup:active',
  'a=connection:new',
  'a=fingerprint:SHA-256 AB:CD',
  'a=msrp-cema',
  'a=accept-types:message/cpim application/im-iscomposing+xml',
  'a=accept-wrapped-types:text/plain message/imdn+xml application/vnd.gsma.rcs-ft-http+xml',
  'a=max-size:1048576',
  'a=sendrecv',
  'a=X-unknown:kept as it stands',
];
const tls = {path: ['msrps://198.51.100.7:2855/pf1;tcp']};
const own: OwnMedia = {host: '198.51.100.7', port: 2855, path: ['msrp://198.51.100.7:2855/pf1;tcp'], setup: 'actpass'};
const origin = {host: '198.51.100.7', sessionId: '42', version: 1};
const OURS = ['v=0', 'o=- 42 1 IN IP4 198.51.100.7', 's=-', 'c=IN IP4 198.51.100.7', 't=0 0'];

test('RFC 4975 §4: the example of the standard is read', (t) => {
  t.deepEqual(msrpMedia(parseSdp(text(...SESSION, ...BASIC))), {
    index: 0,
    refused: false,
    port: 7654,
    tls: false,
    host: 'atlanta.example.com',
    path: ['msrp://atlanta.example.com:7654/jshA7weztas;tcp'],
    acceptTypes: ['text/plain'],
    acceptWrappedTypes: undefined,
    maxSize: undefined,
    setup: undefined,
    fingerprints: [],
    cema: false,
    direction: 'sendrecv',
  });
});

test('RFC 4975 §8, RFC 6135 §4.2, RFC 6714 §5: every attribute of an MSRP session is read', (t) => {
  t.deepEqual(msrpMedia(parseSdp(Buffer.from(text(...SESSION, ...CHAT)))), {
    index: 0,
    refused: false,
    port: 9,
    tls: true,
    host: '2001:db8::10',
    path: ['msrps://relay.example:2855/aaa;tcp', 'msrps://[2001:db8::10]:9/jshA7we;tcp'],
    acceptTypes: ['message/cpim', 'application/im-iscomposing+xml'],
    acceptWrappedTypes: ['text/plain', 'message/imdn+xml', 'application/vnd.gsma.rcs-ft-http+xml'],
    maxSize: 1_048_576,
    setup: 'active',
    fingerprints: ['SHA-256 AB:CD'],
    cema: true,
    direction: 'sendrecv',
  });
});

test('RFC 4566 §5: a description comes back line by line, unknown lines in their places', (t) => {
  const sdp = text(...SESSION, 'z=what', ...CHAT, 'b=AS:1', 'm=audio 0 RTP/AVP 0 8', 'k=clear:x', ...FILE);
  t.is(formatSdp(parseSdp(sdp)), sdp);
  t.is(formatSdp(parseSdp(sdp.replaceAll('\r\n', '\n'))), sdp);
});

test('RFC 4566 §5: a description of more than a hundred sections is none of a chat', (t) => {
  const many = (count: number) => text(...SESSION, ...Array.from({length: count}, () => 'm=message 9 TCP/MSRP *'));
  t.is(parseSdp(many(100)).sections.length, 100);
  t.is(t.throws(() => parseSdp(many(101)), {instanceOf: CpmError}).code, 'CPM_SDP');
});

test('RFC 3264 §8.2: a section with port 0 is refused, and the next one is taken', (t) => {
  const sdp = parseSdp(text(...SESSION, 'm=message 0 TCP/MSRP *', 'm=audio 5000 RTP/AVP 0', ...BASIC));
  t.deepEqual(
    msrpSections(sdp).map(({index, refused}) => [index, refused]),
    [
      [0, true],
      [2, false],
    ],
  );
  t.is(msrpMedia(sdp)?.index, 2);
  t.is(msrpMedia(parseSdp(text(...SESSION, 'm=message 7654 SIP/TCP *'))), undefined);
});

test('8.3.2.9.1.1 A9, CPM-CF 5.2.1.2, T20: an offer repeats the far capabilities and none of the far connection', (t) => {
  t.is(
    buildOffer({origin, capabilities: parseSdp(text(...SESSION, ...CHAT)), own: [own], maxSize: 500_000}),
    text(
      ...OURS,
      'm=message 2855 TCP/MSRP *',
      'a=accept-types:message/cpim application/im-iscomposing+xml',
      'a=accept-wrapped-types:text/plain message/imdn+xml application/vnd.gsma.rcs-ft-http+xml',
      'a=X-unknown:kept as it stands',
      'a=path:msrp://198.51.100.7:2855/pf1;tcp',
      'a=setup:actpass',
      'a=max-size:500000',
      'a=sendrecv',
    ),
  );
});

test('8.3.2.9.1.1 A9, T19: the direction of a delivery offer is what it is told, not what the original offer said', (t) => {
  const offer = parseSdp(text(...SESSION, ...BASIC, 'a=sendonly'));
  t.is(
    msrpMedia(parseSdp(buildOffer({origin, capabilities: offer, own: [own], direction: 'sendrecv'})))?.direction,
    'sendrecv',
  );
  t.is(msrpMedia(parseSdp(buildOffer({origin, capabilities: offer, own: [own]})))?.direction, 'sendonly');
});

test('CPM-CF 5.2.1.4 T20: whatever belongs to the far connection or its keys stays with it', (t) => {
  const names = [
    'path',
    'setup',
    'connection',
    'fingerprint',
    'msrp-cema',
    'tls-id',
    'crypto',
    'key-mgmt',
    'ice-ufrag',
    'ice-pwd',
  ];
  const lines = [...names, 'ice-options', 'candidate', 'remote-candidates'].map((name) => `a=${name}:far`);
  const capabilities = parseSdp(
    text(...SESSION, 'm=message 65535 TCP/MSRP *', 'a=sendonly ', 'b=AS:1', 'k=clear:far', ...lines),
  );
  const built = buildOffer({origin, capabilities, own: [own], direction: 'sendrecv'});
  t.false(built.includes('far'));
  t.false(built.includes('sendonly'));
});

test('RFC 5547 §6: title and attributes of a file travel on', (t) => {
  const built = buildOffer({origin, capabilities: parseSdp(text(...SESSION, ...FILE)), own: [own]});
  for (const line of FILE.filter((kept) => /^(?:i=|a=file-|a=accept|a=sendonly)/.test(kept)))
    t.true(built.includes(`${line}\r\n`), line);
  t.true(built.indexOf('i=') > built.indexOf('m=') && built.indexOf('i=') < built.indexOf('a='));
  t.false(built.includes('atlanta'));
});

test('CPM-CF 5.2.1.2: of several sections the live MSRP ones are offered, each with its own path', (t) => {
  const far = parseSdp(
    text(...SESSION, 'm=audio 5000 RTP/AVP 0', ...CHAT, 'm=message 0 TCP/MSRP *', 'a=accept-types:x/x', ...FILE),
  );
  const second = {...own, port: 2856, path: ['msrp://198.51.100.7:2856/pf2;tcp']};
  const sections = msrpSections(parseSdp(buildOffer({origin, capabilities: far, own: [own, second]})));
  t.deepEqual(
    sections.map(({port, acceptTypes}) => [port, acceptTypes[0]]),
    [
      [2855, 'message/cpim'],
      [2856, 'message/cpim'],
    ],
  );
  t.is(sections[1]?.direction, 'sendonly');
  t.is(
    msrpSections(parseSdp(buildOffer({origin, capabilities: parseSdp(text(...SESSION, ...BASIC)), own: [own, second]})))
      .length,
    1,
  );
});

test('CPM-CF 8.3.2.9.1.1: with no original offer at hand a chat for any content is offered', (t) => {
  const media = msrpMedia(parseSdp(buildOffer({origin, own: [own], maxSize: 10})));
  t.like(media, {
    acceptTypes: ['message/cpim'],
    acceptWrappedTypes: ['*'],
    maxSize: 10,
    direction: 'sendrecv',
    setup: 'actpass',
  });
});

test('RFC 3264 §6: an answer has the sections of the offer, what is no MSRP or has no path of ours refused', (t) => {
  const offer = parseSdp(
    text(
      ...SESSION,
      'm= audio  5000 RTP/AVP 0 8 ',
      'a=rtpmap:0 PCMU/8000',
      ...BASIC,
      'm=message 0 TCP/MSRP *',
      ...FILE,
    ),
  );
  t.is(
    buildAnswer({origin, offer, own: [{...own, setup: 'passive'}]}),
    text(
      ...OURS,
      'm=audio 0 RTP/AVP 0 8',
      'm=message 2855 TCP/MSRP *',
      'a=accept-types:text/plain',
      'a=path:msrp://198.51.100.7:2855/pf1;tcp',
      'a=setup:passive',
      'a=sendrecv',
      'm=message 0 TCP/MSRP *',
      'm=message 0 TCP/MSRP *',
    ),
  );
});

test('CPM-CF 5.2.1.2: an answer repeats what the far side answered, refusals too', (t) => {
  const offer = parseSdp(text(...SESSION, ...CHAT, ...FILE));
  const far = parseSdp(text(...SESSION, 'm=message 0 TCP/MSRP *', ...BASIC, 'a=recvonly', 'a=max-size:100'));
  const answer = parseSdp(buildAnswer({origin, offer, capabilities: far, own: [{...own, ...tls}, own], maxSize: 1000}));
  t.deepEqual(
    answer.sections.map(({port}) => port),
    [0, 2855],
  );
  t.like(msrpMedia(answer), {
    acceptTypes: ['text/plain'],
    acceptWrappedTypes: undefined,
    maxSize: 100,
    direction: 'recvonly',
  });
});

test('RFC 3264 §6.1: an answer for a phone that is away mirrors the direction', (t) => {
  const answered = (direction: string) =>
    msrpMedia(
      parseSdp(buildAnswer({origin, offer: parseSdp(text(...SESSION, ...BASIC, `a=${direction}`)), own: [own]})),
    )?.direction;
  t.deepEqual(['sendrecv', 'sendonly', 'recvonly', 'inactive'].map(answered), [
    'sendrecv',
    'recvonly',
    'sendonly',
    'inactive',
  ]);
});

test('RFC 3264 §6.1: an answer is never wider than the offer, whatever the far side or the caller says', (t) => {
  const offer = parseSdp(text(...SESSION, ...BASIC, 'a=sendonly'));
  const answered = (far: string, direction?: 'sendrecv') =>
    msrpMedia(
      parseSdp(
        buildAnswer({origin, offer, capabilities: parseSdp(text(...SESSION, ...BASIC, far)), own: [own], direction}),
      ),
    )?.direction;
  t.deepEqual(
    [answered('a=sendrecv'), answered('a=recvonly'), answered('a=sendonly')],
    ['recvonly', 'recvonly', 'inactive'],
  );
  t.is(answered('a=inactive', 'sendrecv'), 'recvonly');
});

test('RFC 4975 §8.1: TLS is answered with TLS, or not at all', (t) => {
  const answer = (offered: readonly string[], media: OwnMedia) =>
    buildAnswer({origin, offer: parseSdp(text(...SESSION, ...offered)), own: [media]});
  t.throws(() => answer(CHAT, own), {instanceOf: CpmError, code: 'CPM_MSRP_TRANSPORT'});
  t.throws(() => answer(BASIC, {...own, ...tls}), {code: 'CPM_MSRP_TRANSPORT'});
  t.true(answer(CHAT, {...own, ...tls}).includes('m=message 2855 TCP/TLS/MSRP *\r\n'));
});

test('RFC 4975 §8.1: TLS, fingerprint, CEMA and an address of its own are written where our leg has them', (t) => {
  const secure: OwnMedia = {
    host: '2001:db8::7',
    port: 2855,
    path: ['msrps://[2001:db8::7]:2855/x;tcp'],
    setup: 'active',
    fingerprint: 'SHA-256 00',
    cema: true,
  };
  const built = buildOffer({origin, capabilities: parseSdp(text(...SESSION, ...BASIC)), own: [secure]});
  for (const line of [
    'm=message 2855 TCP/TLS/MSRP *',
    'c=IN IP6 2001:db8::7',
    'a=fingerprint:SHA-256 00',
    'a=msrp-cema',
    'a=setup:active',
  ]) {
    t.true(built.includes(`${line}\r\n`), line);
  }
});

test('8.3.2.9.1.1 A12, RFC 6135 §4.2, RFC 4975 §5.4: who connects follows from a=setup, and without it the offerer does', (t) => {
  const role = (setup: string | undefined, we: 'offered' | 'answer') =>
    connectionRole(
      msrpMedia(parseSdp(text(...SESSION, ...BASIC, ...(setup === undefined ? [] : [`a=setup:${setup}`])))) ?? {
        setup: undefined,
      },
      we,
    );
  t.deepEqual(
    ['active', 'passive', 'actpass', 'holdconn', undefined].map((setup) => role(setup, 'answer')),
    ['passive', 'active', 'passive', 'passive', 'passive'],
  );
  t.deepEqual(
    ['active', 'passive', 'holdconn', undefined].map((setup) => role(setup, 'offered')),
    ['passive', 'active', 'active', 'active'],
  );
});

test('RFC 4566 §5: what is no description is refused with 400', (t) => {
  const bad = [
    '',
    'hello',
    'm=message 1 TCP/MSRP *',
    'v=0\r\nm=message',
    'v=0\r\nm=message 70000 TCP/MSRP *',
    'v=0\r\nm=message x TCP/MSRP *',
    'v=0\r\n=x',
  ];
  for (const sdp of [...bad, 'v=0\r\n'.repeat(3000), `v=0\r\na=${'x'.repeat(70_000)}`])
    t.throws(() => parseSdp(sdp), {code: 'CPM_SDP'}, sdp.slice(0, 40));
});

test('RFC 4566 §5: a huge port count takes no memory, a lone CR begins no line in what is copied', (t) => {
  t.is(msrpMedia(parseSdp('v=0\nm=message 5/99999999999 TCP/MSRP *'))?.port, 5);
  t.is(
    attributeLines(
      buildOffer({origin, capabilities: parseSdp('v=0\nm=message 5 TCP/MSRP *\na=x\ra=path:msrp://evil'), own: [own]}),
    ),
    'a=x a=path:msrp://198.51.100.7:2855/pf1;tcp a=setup:actpass a=sendrecv',
  );
});

function attributeLines(sdp: string): string {
  return sdp
    .split('\r\n')
    .filter((line) => line.startsWith('a='))
    .join(' ');
}

test('RFC 4566 §5: whatever comes in, only CpmError comes out, and what is built can be read', (t) => {
  const line = fc.oneof(
    fc.constantFrom(
      ...CHAT,
      ...FILE,
      'm=audio 1 RTP/AVP 0',
      'a=',
      'a=path',
      'a=max-size:x',
      'c=IN',
      'i=',
      'a=sendonly',
    ),
    fc.string({unit: 'binary', maxLength: 10}),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        const sdp = parseSdp(['v=0', ...lines].join('\n'));
        const offered = parseSdp(buildOffer({origin, capabilities: sdp, own: [own, own]}));
        t.is(offered.sections.length, Math.min(2, msrpSections(sdp).filter(({refused}) => !refused).length));
        const answered = parseSdp(buildAnswer({origin, offer: sdp, capabilities: offered, own: [{...own, ...tls}]}));
        t.is(answered.sections.length, sdp.sections.length);
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
});
