/** How messages may be written: compact and folded headers, lists, spaces, UTF-8, large bodies, and what cannot be read. */
import type {Scenario} from '../runner.ts';
import type {Peer} from '../actors.ts';

/** A MESSAGE written line by line, for what a request built of parts cannot say. */
function written(alice: Peer, lines: readonly string[], body = 'hello', uri = 'sip:x@127.0.0.1'): string {
  const required: Record<string, string> = {
    via: `Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bK-s-raw-1-00000000`,
    from: 'From: <sip:alice@127.0.0.1>;tag=t-alice',
    to: 'To: <sip:x@127.0.0.1>',
    'call-id': 'Call-ID: call-raw-1-00000000',
    cseq: 'CSeq: 1 MESSAGE',
    'content-type': 'Content-Type: text/plain',
    'content-length': `Content-Length: ${Buffer.byteLength(body)}`,
  };
  const compact: Record<string, string> = {
    v: 'via',
    f: 'from',
    t: 'to',
    i: 'call-id',
    c: 'content-type',
    l: 'content-length',
  };
  const given = new Set(
    lines.map((line) => {
      const name = (/^([^:\s]*)/.exec(line)?.[1] ?? '').toLowerCase();
      return compact[name] ?? name;
    }),
  );
  const missing = Object.entries(required).flatMap(([name, line]) => (given.has(name) ? [] : [line]));
  return [`MESSAGE ${uri} SIP/2.0`, ...missing, ...lines.filter((line) => !line.startsWith('-')), '', body].join(
    '\r\n',
  );
}

/** A body of that many octets, in lines. */
function lines(octets: number): string {
  return `${'0123456789'.repeat(9)}01234567\r\n`.repeat(octets / 100);
}

/** A scenario with one message, which the application answers. */
function handedOn(name: string, title: string, text: (alice: Peer) => string | Uint8Array): Scenario {
  return {
    name,
    title,
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      alice.write(text(alice));
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  };
}

/** A scenario with one message that never reaches the application, whatever the server says to it; a good one after it does. */
function refused(
  name: string,
  title: string,
  text: (alice: Peer) => string | Uint8Array,
  transport: 'udp' | 'tcp' = 'udp',
): Scenario {
  return {
    name,
    title,
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice', transport);
      alice.write(text(alice));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const carol = await peer('carol');
      carol.request('OPTIONS');
      await app.respond(await app.sip('OPTIONS'), '200 OK');
      await carol.next('SIP/2.0 200');
    },
  };
}

export const formScenarios: readonly Scenario[] = [
  handedOn('compact-headers', 'RFC 3261 §7.3.3: compact header names', (alice) =>
    written(alice, [
      `v: SIP/2.0/UDP ${alice.address};branch=z9hG4bK-s-raw-1-00000000`,
      'f: <sip:alice@127.0.0.1>;tag=t-alice',
      't: <sip:x@127.0.0.1>',
      'i: call-raw-1-00000000',
      'm: <sip:alice@127.0.0.1>',
      'c: text/plain',
      'l: 5',
      's: subject',
      'k: timer',
      'o: presence',
      'u: presence',
      'r: <sip:carol@example.org>',
      'b: <sip:dave@example.org>',
      'x: 600',
      'a: *;+g.oma.sip-im',
      'j: *;x',
      'd: no-fork',
      'e: gzip',
    ]),
  ),
  handedOn('folded-headers', 'RFC 3261 §7.3.1: folded header lines', (alice) =>
    written(alice, ['Subject: one', '  two', '\tthree', 'X-Folded: a,', ' b', 'To: "X" ', '  <sip:x@127.0.0.1>']),
  ),
  handedOn('several-values', 'RFC 3261 §7.3.1: several values, in one line or in several', (alice) =>
    written(alice, [
      'P-Asserted-Identity: <sip:a@example.org>, <tel:+15550100>',
      'Accept-Contact: *;+g.oma.sip-im',
      'Accept-Contact: *;language="en,de"',
      'X-Many: 1',
      'X-Many: 2',
      'History-Info: <sip:a@example.org>;index=1',
      'History-Info: <sip:b@example.org?Reason=SIP%3Bcause%3D302>;index=1.1',
      'Supported: timer, 100rel',
      'Supported: path',
      'Require: timer',
      'Allow: INVITE,ACK',
    ]),
  ),
  handedOn('odd-spacing', 'RFC 4475 §3.1.1.1: odd spacing, odd case, empty values', (alice) =>
    written(alice, [
      'TO :\t <sip:x@127.0.0.1>  ;x=1',
      'cseq:   1    MESSAGE',
      'SUBJECT:',
      'x-empty:   ',
      'cOnTeNt-TyPe: Text/Plain ; charset=UTF-8',
      'EXPIRES:60',
      'conversation-ID: Abc',
      'P-Charging-Vector : icid-value=1 ; icid-generated-at=x',
    ]),
  ),
  handedOn('utf-8', 'RFC 3261 §25.1: UTF-8 in display names, unknown headers and bodies', (alice) =>
    written(alice, ['From: "Zoë 😀" <sip:alice@127.0.0.1>;tag=t-alice', 'X-Name: größe', 'Subject: 你好'], 'zwölf 😀'),
  ),
  handedOn('parameters', 'RFC 3261 §19.1: parameters, escapes and passwords in URIs stay as they are', (alice) =>
    written(
      alice,
      [
        'Contact: "A, B" <sip:alice:pw@127.0.0.1;transport=udp;x="1">;expires=60;+sip.instance="<urn:uuid:0>"',
        'To: sip:x@127.0.0.1;y=1',
      ],
      'hello',
      'sip:x%20y;p=1@127.0.0.1;user=phone;lr',
    ),
  ),
  handedOn('tel-uri', 'RFC 3966: a tel: Request-URI', (alice) =>
    written(alice, ['To: <tel:+1-555-0100>'], 'hello', 'tel:+1-555-0100;phone-context=x'),
  ),
  handedOn('no-content-length', 'RFC 3261 §18.3: over UDP a body without Content-Length is all that follows', (alice) =>
    written(alice, ['-content-length:', 'content-length-not: 1']).replace(/Content-Length.*\r\n/, ''),
  ),
  handedOn(
    'longer-datagram',
    'RFC 3261 §18.3: what follows Content-Length in a datagram is dropped',
    (alice) => `${written(alice, ['Content-Length: 5'])} and more`,
  ),
  handedOn('no-max-forwards', 'RFC 3261 §8.1.1: a request without Max-Forwards, Contact and Content-Type', (alice) =>
    written(alice, ['X-Only: 1'])
      .replace(/Content-Type.*\r\n/, '')
      .replace('Content-Length: 5', 'Content-Length: 0')
      .replace(/hello$/, ''),
  ),
  handedOn('several-vias', 'RFC 3261 §20.42: several Vias, a received that the sender made up, and rport', (alice) =>
    written(alice, [
      `Via: SIP/2.0/UDP host.example:5070;rport;branch=z9hG4bK-s-raw-1-00000000;received=192.0.2.9`,
      'Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK-s-raw-2-00000000, SIP/2.0/UDP [2001:db8::1]:5071;branch=z9hG4bK-s-raw-3-00000000',
    ]),
  ),
  {
    name: 'big-body-udp',
    title: 'drachtio: a body of 30 KB comes in over UDP',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice');
      alice.request('MESSAGE', {headers: {'Content-Type': 'text/plain'}, body: lines(30_000)});
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'big-body-tcp',
    title: 'drachtio: a body of 60 KB comes in over TCP',
    async play({app: connect, peer}) {
      const app = await connect();
      const alice = await peer('alice', 'tcp');
      alice.request('MESSAGE', {headers: {'Content-Type': 'text/plain'}, body: lines(60_000)});
      await app.respond(await app.sip('MESSAGE'), '200 OK');
      await alice.next('SIP/2.0 200');
    },
  },
  {
    name: 'big-body-out',
    title: 'RFC 3261 §18.1.1: a request of 10 KB over UDP, to a peer that listens on UDP alone',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(`MESSAGE ${bob.contact.slice(1, -1)}`, ['Content-Type: text/plain'], lines(10_000));
      bob.answer(await bob.next('MESSAGE'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'multipart-out',
    title: 'drachtio: a multipart body of the application leaves octet for octet',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      const body = [
        '--x',
        'Content-Type: application/sdp',
        '',
        'v=0',
        '',
        '--x',
        'Content-Type: application/resource-lists+xml',
        '',
        '<a/>',
        '--x--',
        '',
      ].join('\r\n');
      await app.send(
        `MESSAGE ${bob.contact.slice(1, -1)}`,
        ['Content-Type: multipart/mixed;boundary=x', 'MIME-Version: 1.0'],
        body,
      );
      bob.answer(await bob.next('MESSAGE'), '200 OK', ['Content-Type: multipart/mixed;boundary=x'], body);
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'utf-8-out',
    title: 'drachtio: UTF-8 of the application, whose Content-Length counts characters, leaves whole',
    async play({app: connect, peer}) {
      const app = await connect();
      const bob = await peer('bob');
      await app.send(
        `MESSAGE ${bob.contact.slice(1, -1)}`,
        ['Content-Type: text/plain;charset=UTF-8', 'Subject: größe'],
        'zwölf 😀',
      );
      bob.answer(await bob.next('MESSAGE'), '200 OK', ['X-Name: größe', 'Content-Type: text/plain'], '你好');
      await app.sip('SIP/2.0 200');
    },
  },
  refused('unreadable-start-line', 'RFC 3261 §21.4.1: a first line that says nothing', (alice) =>
    written(alice, []).replace(/^MESSAGE \S+ SIP\/2.0/, 'HELLO WORLD'),
  ),
  refused('unreadable-version', 'RFC 3261 §21.5.6: another version of SIP', (alice) =>
    written(alice, []).replace('SIP/2.0\r\n', 'SIP/7.0\r\n'),
  ),
  refused('unreadable-header', 'RFC 3261 §21.4.1: a header line without a colon', (alice) =>
    written(alice, ['nonsense']),
  ),
  refused('unreadable-cseq', 'RFC 3261 §21.4.1: a CSeq that is no number', (alice) =>
    written(alice, ['CSeq: abc MESSAGE']),
  ),
  refused('cseq-method', 'RFC 3261 §21.4.1: a CSeq of another method', (alice) => written(alice, ['CSeq: 1 OPTIONS'])),
  refused('unreadable-from', 'RFC 3261 §21.4.1: a From that is no address', (alice) =>
    written(alice, ['From: <<<>;tag=t-alice']),
  ),
  refused('missing-from', 'RFC 3261 §8.1.1: no From', (alice) => written(alice, []).replace(/From.*\r\n/, '')),
  refused('missing-to', 'RFC 3261 §8.1.1: no To', (alice) => written(alice, []).replace(/To:.*\r\n/, '')),
  refused('missing-call-id', 'RFC 3261 §8.1.1: no Call-ID', (alice) => written(alice, []).replace(/Call-ID.*\r\n/, '')),
  refused('missing-cseq', 'RFC 3261 §8.1.1: no CSeq', (alice) => written(alice, []).replace(/CSeq.*\r\n/, '')),
  refused('missing-via', 'RFC 3261 §8.1.1: no Via', (alice) => written(alice, []).replace(/Via.*\r\n/, '')),
  refused('short-body', 'RFC 3261 §18.3: a body shorter than Content-Length says, over UDP', (alice) =>
    written(alice, ['Content-Length: 100']),
  ),
  refused('bad-content-length', 'RFC 3261 §20.14: a Content-Length that is no number', (alice) =>
    written(alice, ['Content-Length: abc']),
  ),
  refused('long-line', 'drachtio: a header line over 8192 bytes', (alice) =>
    written(alice, [`X-Long: ${'a'.repeat(9000)}`]),
  ),
  refused('long-line-in-body', 'drachtio: a line of the body over 8192 bytes', (alice) =>
    written(alice, [], 'a'.repeat(9000)),
  ),
  refused('max-forwards-0', 'RFC 3261 §8.2.2.2: Max-Forwards 0', (alice) =>
    written(alice, ['Max-Forwards: 0'])
      .replace(/^MESSAGE/, 'DANCE')
      .replace('1 MESSAGE', '1 DANCE'),
  ),
  refused('garbage', 'RFC 3261 §18.3: a datagram that is no SIP at all', () =>
    Buffer.from([0, 1, 2, 3, 255, 254, 13, 10, 13, 10]),
  ),
  refused('keep-alive', 'RFC 5626 §4.4: keep-alives are not messages', () => '\r\n\r\n'),
  refused(
    'garbage-tcp',
    'RFC 3261 §18.3: a stream that is no SIP ends',
    () => 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'tcp',
  ),
];
