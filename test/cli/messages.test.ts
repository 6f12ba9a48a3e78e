import test from 'ava';
import {formatQueue, formatTrace} from '../../lib/cli/messages.ts';
import type {TracedMessage} from '../../lib/cpm/history.ts';

const at = Date.UTC(2026, 10, 21, 18, 22, 45);

const message: TracedMessage = {
  ...{id: '1', sequence: 1, servedUser: 'tel:+15550102', sender: 'tel:+15550101', kind: 'chat', imdnMessageId: 'Msg1'},
  ...{conversationId: 'Conv-1', state: 'sent', receivedAt: at, expiresAt: at + 86_400_000, omitted: 3},
  history: [
    {at, node: 'pf-1', what: 'accepted', session: 'Conv-1'},
    {at: at + 1000, node: 'pf-2', what: 'sent', answer: 'MSRP 200', session: 'leg-7'},
    {at: at + 2000, node: 'pf-2', what: 'held', by: 'root'},
  ],
};

test('cpm-pf where: a message is told with its history, and what is not kept of it', (t) => {
  t.is(
    formatTrace(message),
    [
      'chat Msg1: sent',
      '  id 1, conversation Conv-1',
      '  from tel:+15550101 to tel:+15550102, to expire 2026-11-22T18:22:45Z',
      '  2026-11-21T18:22:45Z accepted     pf-1       Conv-1',
      '  (3 entries are not kept)',
      '  2026-11-21T18:22:46Z sent         pf-2       MSRP 200, leg-7',
      '  2026-11-21T18:22:47Z held         pf-2       by root',
      '',
    ].join('\n'),
  );
});

test('cpm-pf where, queue list: whatever a message brings, lines have 100 columns and no control character', (t) => {
  const long = 'x'.repeat(2000);
  const hostile: TracedMessage = {
    ...{...message, imdnMessageId: `\u001b[2J\n${long}`, conversationId: `\r${long}`, sender: `sip:${long}\u0007@x`},
    history: [{at, node: long, what: 'accepted', session: `\u009b${long}`}],
  };
  for (const text of [formatTrace(hostile), formatQueue([hostile, message])]) {
    t.deepEqual(
      text.split('\n').filter((line) => line.length > 100),
      [],
    );
    t.notRegex(text.replaceAll('\n', ''), /\p{Cc}/u);
  }

  t.is(formatQueue([hostile, message]).split('\n').length, 4);
});
