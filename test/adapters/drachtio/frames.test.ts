import {randomUUID} from 'node:crypto';
import test from 'ava';
import {connectServer} from '../../../lib/adapters/drachtio/connection.ts';
import {createSip} from '../../../lib/adapters/drachtio/sip.ts';
import {systemClock} from '../../../lib/ports/clock.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import {scriptedDrachtio} from '../../support/scripted-drachtio.ts';
import {connected, nextRequest, withBench} from './setup.ts';

/** In Call-IDs: a server takes what it has seen within the last minute for a retransmission. */
const run = randomUUID();

const text = {'Content-Type': 'text/plain'};

test.serial(
  'RFC 3428 §4: a burst of 40 MESSAGEs of 5000 octets reaches the peer whole, and each gets its answer',
  withBench(async (t, bench) => {
    const bob = await bench.peer({transport: 'tcp'});
    const uri = `sip:bob@${bob.address};transport=tcp`;
    const bodies = Array.from({length: 40}, (_, index) => `${index} ${'x'.repeat(5000)}`);
    const answers = bodies.map((body) => bench.sip.request('MESSAGE', {uri, headers: text, body}));
    const got = new Set<string>();
    while (got.size < bodies.length) {
      const message = await bob.next('MESSAGE');
      got.add(message.body.toString());
      bob.answer(message, '200 OK');
    }

    t.deepEqual(got, new Set(bodies));
    t.true((await Promise.all(answers)).every(({status}) => status === 200));
  }),
);

test.serial(
  'RFC 3428 §8: none of 300 answers is lost that come as fast as they can',
  withBench(async (t, bench) => {
    const bob = await bench.peer({transport: 'tcp'});
    const uri = `sip:bob@${bob.address};transport=tcp`;
    const answers = Array.from({length: 300}, () => bench.sip.request('MESSAGE', {uri, headers: text, body: 'hello'}));
    for (let left = answers.length; left > 0; left -= 1) bob.answer(await bob.next('MESSAGE'), '202 Accepted');
    const statuses = (await Promise.all(answers)).map(({status}) => status);
    t.deepEqual(new Set(statuses), new Set([202]));
  }),
);

test.serial(
  'RFC 3428 §8: a message is measured in octets: one that only just goes arrives whole, one that does not is a 513 and disturbs nothing',
  withBench(async (t, bench) => {
    const bob = await bench.peer({transport: 'tcp'});
    const uri = `sip:bob@${bob.address};transport=tcp`;
    const tooLarge = await bench.sip.request('MESSAGE', {uri, headers: text, body: 'é'.repeat(6000)});
    t.is(tooLarge.status, 513);
    t.regex(tooLarge.reason, /^frame of 12\d\d\d bytes/);
    const body = 'é'.repeat(5800);
    const fits = bench.sip.request('MESSAGE', {uri, headers: text, body});
    const after = bench.sip.request('MESSAGE', {uri, headers: text, body: 'after'});
    const first = await bob.next('MESSAGE');
    t.is(first.body.toString(), body);
    t.is(first.header('Content-Length'), '11600');
    bob.answer(first, '200 OK');
    const second = await bob.next('MESSAGE');
    t.is(second.body.toString(), 'after');
    bob.answer(second, '200 OK');
    t.deepEqual([(await fits).status, (await after).status], [200, 200]);
  }),
);

test.serial(
  'RFC 3261 §21.5.7: an answer that is too large is refused to its author, who can still give another',
  withBench(async (t, bench) => {
    const alice = await bench.peer();
    const coming = nextRequest(bench);
    alice.send(
      `OPTIONS sip:pf@home.net SIP/2.0
      Via: SIP/2.0/UDP ${alice.address};branch=z9hG4bKlarge${run};rport
      From: <sip:alice@home.net>;tag=a1
      To: <sip:pf@home.net>
      Call-ID: large-${run}
      CSeq: 1 OPTIONS
      Max-Forwards: 70`,
    );
    const request = await coming;
    await t.throwsAsync(request.respond(200, {headers: text, body: 'x'.repeat(13_000)}), {
      code: 'CPM_SIP_TOO_LARGE',
    });
    await t.throwsAsync(request.respond(200, {body: 'of no type'}), {code: 'CPM_SIP_NO_CONTENT_TYPE'});
    await request.respond(513);
    t.is((await alice.next('SIP/2.0')).startLine, 'SIP/2.0 513 Message Too Large');
  }),
);

test('RFC 3261 §18.3: the server is never given more than its 12,228 octets of buffer, nor more than it has read behind a long frame', async (t) => {
  const server = await scriptedDrachtio();
  const surroundings = {clock: systemClock, log: silentLog};
  const connection = connectServer({host: '127.0.0.1', port: server.port, secret: 'x'}, surroundings);
  const sip = createSip({servers: [connection], homeDomain: 'home.net', ...surroundings});
  await connected(connection);
  server.mostUnanswered = 0;
  for (const size of [100, 9000, 11_000, 100, 10_000, 3000, 11_500]) {
    void sip.request('MESSAGE', {uri: 'sip:bob@home.net', headers: text, body: 'y'.repeat(size)});
  }

  await server.next('sip|');
  while (server.frames.filter((frame) => frame.includes('MESSAGE')).length < 7) await server.next('sip|');
  t.true(server.mostUnanswered <= 12_228, `${server.mostUnanswered} octets were under way`);
  const lengths = server.frames
    .filter((frame) => frame.includes('MESSAGE'))
    .map((frame) => /y*$/.exec(frame)?.[0].length);
  t.deepEqual(lengths, [100, 9000, 11_000, 100, 10_000, 3000, 11_500], 'in order');
  await sip.close();
  await server.close();
});
