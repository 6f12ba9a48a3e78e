import test from 'ava';
import {ladderHead, ladderLine, type LadderEvent} from '../../lib/demo/ladder.ts';

const invite: LadderEvent = {event: 'message', protocol: 'SIP', from: 'Alice', to: 'PF', text: 'INVITE'};
const send: LadderEvent = {event: 'message', protocol: 'MSRP', from: 'PF', to: 'Bob', text: 'SEND #1, 337 octets'};
const answer: LadderEvent = {event: 'message', protocol: 'SIP', from: 'PF', to: 'Alice', text: '200 (INVITE)'};
const step: LadderEvent = {event: 'step', text: "Bob's phone is switched on"};

test('the demo: the ladder points from who speaks to who hears, SIP with a thin stroke, MSRP with a double one', (t) => {
  t.deepEqual(
    [
      ladderHead(),
      ...[invite, answer, send].map((event) => ladderLine(event, 1.234, false)),
      ladderLine(step, 12, false),
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
  for (const event of events) t.true(ladderLine(event, 999.99, false).length <= 100);
});

test('the demo: colour only where it is asked for', (t) => {
  const escape = String.fromCharCode(27);
  for (const event of [invite, send, step]) {
    const plain = ladderLine(event, 0, false);
    const coloured = ladderLine(event, 0, true);
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
