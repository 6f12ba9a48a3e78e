import test from 'ava';
import fc from 'fast-check';
import {createFrameParser, type FrameHandlers} from '../../../lib/codecs/msrp/frame-parser.ts';

/** What a parser says of each frame in turn, in words. */
function saying(): FrameHandlers & {readonly said: readonly string[]} {
  const said: string[] = [];
  const say = (text: string) => {
    said.push(`${said.pop() ?? ''}${text}`);
  };
  return {
    said,
    onStart(head) {
      const fields = (['transaction-id', 'to-path', 'from-path', 'message-id', 'content-type'] as const).map(
        (field) => `${head.text(field)} ${head.has(field)}`,
      );
      const views = [head.transactionId, head.toPath, head.fromPath, head.messageId, head.contentType];
      const {kind, method, status, byteRange, failureReport, successReport, hasBody, bodyLength, fault} = head;
      const rest = {kind, method, status, byteRange, failureReport, successReport, hasBody, bodyLength, fault};
      said.push(JSON.stringify([fields, views.map((each) => each?.toString('latin1')), rest, head.header('x-other')]));
    },
    onBody: (piece) => {
      say(` ${piece.toString('latin1')}`);
    },
    onEnd: (flag) => {
      say(` ${flag}`);
    },
    onError: ({status, message}) => said.push(`${status} ${message}`),
  };
}

/** What is said of the last frame after these. */
function lastOf(...frames: readonly string[]): string | undefined {
  const saw = saying();
  const parser = createFrameParser(saw);
  for (const frame of frames.slice(0, -1)) parser.push(Buffer.from(frame, 'latin1'));
  const before = saw.said.length;
  parser.push(Buffer.from(frames.at(-1) ?? '', 'latin1'));
  return saw.said.slice(before).join();
}

const headers = [
  'Message-ID: m1',
  'Byte-Range: 1-4/4',
  'Success-Report: yes',
  'X-Other: b',
  'Content-Type: text/plain',
];

function send(lines: readonly string[], id = 'abcd1', body = 'body'): string {
  return `${[`MSRP ${id} SEND`, 'To-Path: msrp://r:1/x;tcp', 'From-Path: msrp://s:1/y;tcp', ...lines].join('\r\n')}\r\n\r\n${body}\r\n-------${id}$\r\n`;
}

const answer = (id: string, end = id, status = '200 OK') =>
  `MSRP ${id} ${status}\r\nTo-Path: msrp://s:1/y;tcp\r\nFrom-Path: msrp://r:1/x;tcp\r\n-------${end}$\r\n`;

const orders = fc.shuffledSubarray(headers, {minLength: headers.length});

test('RFC 4975 §7.3: a head that is like the one before is read as if it were the first', (t) => {
  const id = fc.stringMatching(/^[A-Za-z0-9.%+=-]{4,32}$/);
  const word = fc.stringMatching(/^[!-9;-~]{1,40}$/);
  fc.assert(
    fc.property(orders, id, word, fc.integer({min: 0, max: 2000}), (lines, transactionId, messageId, length) => {
      const next = lines.map((line) =>
        line.replace(/: m1$/, `: ${messageId.replaceAll('$', '')}m`).replace('1-4/4', `1-${length}/${length}`),
      );
      const frame = send(next, transactionId, 'x'.repeat(length));
      const usual = send(lines);
      t.is(lastOf(usual, usual, usual, frame), lastOf(frame));
      t.is(lastOf(answer('abcd1'), answer('abcd2'), usual, answer(transactionId)), lastOf(answer(transactionId)));
    }),
    {numRuns: 200},
  );
});

test('RFC 4975 §9: a head that is nearly like the one before is read as if it were the first', (t) => {
  for (const [usual, of] of [
    [send(headers), send(headers, 'efgh22')],
    [answer('abcd1'), answer('efgh22')],
  ] as const) {
    for (let at = 0; at < of.length; at += 1) {
      for (const change of ['', ' ', '\r\n', '-', '0', ':', `${of.charAt(at)}\0`, of.slice(at, at + 9)]) {
        const frame = `${of.slice(0, at)}${change}${of.slice(at + 1)}`;
        t.is(lastOf(usual, usual, usual, frame), lastOf(frame), JSON.stringify(frame));
      }
    }
  }
});

test('RFC 4975 §7.3: heads of several sessions on one connection keep their own paths', (t) => {
  const saw = saying();
  const parser = createFrameParser(saw);
  const frames = Array.from({length: 300}, (_, index) =>
    send(headers, `id${index}xx`).replace('//r:1/x', `//r:1/x${index % 3 === 0 ? 0 : index % 20}`),
  );
  for (const frame of frames) parser.push(Buffer.from(frame));
  t.deepEqual(
    saw.said,
    frames.map((frame) => lastOf(frame)),
  );
});

test('RFC 4975 §7.2: an answer whose end-line has another id is not taken for one that is like the one before', (t) => {
  t.is(lastOf(answer('abcd1'), answer('abcd2'), answer('abcd3'), answer('abcd4', 'abcd5')), '');
});
