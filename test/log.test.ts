import {Writable} from 'node:stream';
import test from 'ava';
import {createLog} from '../lib/log.ts';
import {CpmError} from '../lib/errors.ts';
import type {Log} from '../lib/ports/log.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

function recordingLog(level: Level): {log: Log; written: () => string; records: () => Record<string, unknown>[]} {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString('utf8'));
      done();
    },
  });
  const log = createLog({level, base: {node: 'pf-1'}, destination});
  return {
    log,
    written: () => lines.join(''),
    records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test('log: a record has the steady keys, the node, the level by name and a sentence', (t) => {
  const {log, records} = recordingLog('info');
  log.child({conversationId: 'f81d4fae', leg: 'l1'}).info({clause: '8.3.2.9.1.1', status: 480}, 'the delivery ended');
  const [record] = records();
  t.like(record, {
    level: 'info',
    node: 'pf-1',
    conversationId: 'f81d4fae',
    leg: 'l1',
    clause: '8.3.2.9.1.1',
    status: 480,
    msg: 'the delivery ended',
  });
});

test('log: no phone number leaves at info, warn or error, in whatever field, sentence or error it stands', (t) => {
  const {log, written} = recordingLog('debug');
  const numbers = [
    'tel:+15550100',
    'sip:+1-555-0100@example.org;user=phone',
    'sip:5550100@example.org',
    '+15550100',
    '15550100',
  ];
  for (const level of ['info', 'warn', 'error'] as const)
    for (const number of numbers)
      log
        .child({user: number})
        [level](
          {peer: `to <${number}>`, error: new CpmError('CPM_TEST', 500, `no route to ${number}`)},
          `${number} is away`,
        );
  t.notRegex(written(), /5550100|555-0100/);
  t.regex(written(), /sip:…@example\.org;user=phone/);
});

test('log: at debug phone numbers stay', (t) => {
  const {log, written} = recordingLog('debug');
  log.debug({user: 'tel:+15550100'}, 'looked up');
  t.regex(written(), /tel:\+15550100/);
});

test('log: identifiers with many digits stay as they are', (t) => {
  const {log, records} = recordingLog('info');
  const ids = {
    contributionId: '7f31234567890abcdef',
    conversationId: 'f81d4fae-7dec-11d0-a765-00a0c9123456',
    leg: 'a1234567',
  };
  log.info(ids, 'kept');
  t.like(records()[0], ids);
});

test('log: a message body is in no record, as text, as octets or as an object', (t) => {
  const {log, written, records} = recordingLog('debug');
  const body = 'From: <sip:alice@example.org>\r\n\r\nContent-Type: text/plain\r\n\r\nthe secret plan';
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    log[level]({body, bytes: Buffer.from('the secret plan'), message: {text: 'the secret plan'}}, body);
  t.notRegex(written(), /secret plan/);
  t.is(records()[0]?.['bytes'], '[15 octets]');
});

test('log: a long text is cut', (t) => {
  const {log, records} = recordingLog('info');
  log.info({text: 'x'.repeat(100_000)}, 'long');
  t.is(String(records()[0]?.['text']).length, 257);
});

test('log: an error becomes code and message, with its stack at level error alone', (t) => {
  const {log, records} = recordingLog('info');
  const error = new CpmError('CPM_STORE_AWAY', 503, 'the store is away');
  log.warn({error}, 'deferral refused');
  log.error({error}, 'deferral refused');
  t.deepEqual(records()[0]?.['error'], {type: 'CpmError', code: 'CPM_STORE_AWAY', message: 'the store is away'});
  t.regex(String((records()[1]?.['error'] as Record<string, unknown>)['stack']), /log\.test/);
});

test('log: records below the level are not written', (t) => {
  const {log, written} = recordingLog('warn');
  log.debug({}, 'one');
  log.info({}, 'two');
  t.is(written(), '');
});
