import test from 'ava';
import {createFrameParser} from '../../lib/codecs/msrp/frame-parser.ts';
import {pathLines, writeAnswer, writeSendHead} from '../../lib/codecs/msrp/frame-writer.ts';
import {Blocks} from '../../lib/sidecar/blocks.ts';
import {Frame} from '../../lib/sidecar/open-frame.ts';
import {blockBytes, Output} from '../../lib/sidecar/output.ts';
import {RandomTexts, Transactions, type Transaction} from '../../lib/sidecar/transactions.ts';

const paths = pathLines('msrp://b:1/y;tcp', 'msrp://a:1/x;tcp');
const owner = {onAnswer: () => undefined, onNoAnswer: () => undefined};

/** What takes the transaction out whose answer has that id. */
function taken(transactions: Transactions, id: string): Transaction | undefined {
  let found: Transaction | undefined;
  const output = new Output(new Blocks(blockBytes, 1));
  writeAnswer(output, id, paths, 200);
  const parser = createFrameParser({
    onStart: (head) => (found = transactions.take(head)),
    onBody: () => undefined,
    onEnd: () => undefined,
    onError: () => undefined,
  });
  parser.push(Buffer.concat(output.take()));
  return found;
}

test('RFC 4975 §7.1: a frame that is answered before its end ends with its own id, whatever begins meanwhile', (t) => {
  const transactions = new Transactions(new RandomTexts());
  const output = new Output(new Blocks(blockBytes, 1));
  const first = transactions.begin(owner, undefined, 1000);
  const {id} = first;
  const range = {start: 1, end: undefined, total: undefined};
  writeSendHead(output, first, {paths, messageId: 'm', byteRange: range, contentType: 'text/plain'});
  const frame = new Frame(output, first, false, () => undefined);
  frame.write(Buffer.from('body'));
  t.is(taken(transactions, id), first);
  t.not(transactions.begin(owner, undefined, 1000).id, id);
  frame.end('$');
  const written = Buffer.concat(output.take()).toString('latin1');
  t.true(written.startsWith(`MSRP ${id} SEND\r\n`));
  t.true(written.endsWith(`body\r\n-------${id}$\r\n`));
});

test('RFC 4975 §7.2: an answer is to the transaction whose whole id it has, and only once', (t) => {
  const transactions = new Transactions(new RandomTexts());
  const begun = Array.from({length: 2000}, () => transactions.begin(owner, undefined, 1000));
  const ids = begun.map(({id}) => id);
  t.is(new Set(ids).size, ids.length);
  const last = ids.at(-1) ?? '';
  for (const other of [
    last.slice(0, -1),
    `${last}x`,
    `A${last}`,
    'AAAA',
    `${last.slice(0, -1)}%`,
    `zzzz${last.slice(4)}`,
  ])
    t.is(taken(transactions, other), undefined, other);
  for (const [index, id] of ids.entries()) {
    t.is(taken(transactions, id), begun[index]);
    t.is(taken(transactions, id), undefined);
  }
});
