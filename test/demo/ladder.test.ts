import test from 'ava';
import {ladderHead, ladderLine, twoPhones, type LadderEvent} from '../../lib/demo/ladder.ts';

const invite: LadderEvent = {event: 'message', protocol: 'SIP', from: 'Alice', to: 'PF', text: 'INVITE'};
const send: LadderEvent = {event: 'message', protocol: 'MSRP', from: 'PF', to: 'Bob', text: 'SEND #1, 337 octets'};
const answer: LadderEvent = {event: 'message', protocol: 'SIP', from: 'PF', to: 'Alice', text: '200 (INVITE)'};
const step: LadderEvent = {event: 'step', text: "Bob's phone is switched on"};

test('the demo: the ladder points from who speaks to who hears, SIP with a thin stroke, MSRP with a double one', (t) => {
  t.deepEqual(
    [
      ladderHead(twoPhones),
      ...[invite, answer, send].map((event) => ladderLine(twoPhones, event, 1.234, false)),
      ladderLine(twoPhones, step, 12, false),
    ],
    [
      '         Alice                                      PF                                        Bob',
      '  1.23     │──────────────── INVITE ────────────────▶│                                         │',
      '  1.23     │◀──────────── 200 (INVITE) ──────────────│                                         │',
      '  1.23     │                                         │══════════ SEND #1, 337 octets ═════════▶│',
      " 12.00  ■ Bob's phone is switched on",
    ],
  );
});

test('the demo: no line of the ladder is wider than 100 columns, whatever it says', (t) => {
  const text = 'a very long text '.repeat(20);
  const events: readonly LadderEvent[] = [
    {...invite, text},
    {...answer, text},
    {...send, text},
    {...step, text},
  ];
  for (const event of events) t.true(ladderLine(twoPhones, event, 999.99, false).length <= 100);
});

test('the demo: a group has its focus in the ladder; what has no room is cut with a mark, what a command printed goes on in the next line', (t) => {
  const parties = ['Alice', 'Focus', 'PF', 'Bob'] as const;
  const bye: LadderEvent = {...answer, to: 'Focus', text: 'BYE (503 Service Unavailable)'};
  const output: LadderEvent = {event: 'output', text: 'x'.repeat(93)};
  t.deepEqual(
    [ladderHead(parties), ...[invite, bye, output].map((event) => ladderLine(parties, event, 1.234, false))],
    [
      '         Alice                       Focus                        PF                          Bob',
      '  1.23     │─────────────────────── INVITE ───────────────────────▶│                           │',
      '  1.23     │                           │◀ BYE (503 Service Unava… ─│                           │',
      `        ${'x'.repeat(92)}\n        x`,
    ],
  );
});

test('the demo: colour only where it is asked for', (t) => {
  const escape = String.fromCharCode(27);
  for (const event of [invite, send, step]) {
    const plain = ladderLine(twoPhones, event, 0, false);
    const coloured = ladderLine(twoPhones, event, 0, true);
    t.false(plain.includes(escape));
    t.true(coloured.includes(escape));
    t.is(
      coloured
        .split(escape)
        .map((piece, index) => (index === 0 ? piece : piece.replace(/^\[\d+m/, '')))
        .join(''),
      plain,
    );
  }
});
