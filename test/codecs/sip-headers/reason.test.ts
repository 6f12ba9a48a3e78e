import test from 'ava';
import fc from 'fast-check';
import {formatReason, parseReason, sipCause} from '../../../lib/codecs/sip-headers/reason.ts';

test('RFC 3326 §2: the examples of the standard are read', (t) => {
  t.like(parseReason('SIP ;cause=200 ;text="Call completed elsewhere"').at(0), {
    protocol: 'SIP',
    cause: 200,
    text: 'Call completed elsewhere',
  });
  t.like(parseReason('Q.850 ;cause=16 ;text="Terminated"').at(0), {protocol: 'Q.850', cause: 16, text: 'Terminated'});
  t.like(parseReason('SIP ;cause=600 ;text="Busy Everywhere"').at(0), {cause: 600});
  t.like(parseReason('SIP ;cause=580 ;text="Precondition Failure"').at(0), {cause: 580});
});

test('RFC 3326 §2: a formatted Reason is read back', (t) => {
  t.is(formatReason({protocol: 'SIP', cause: 200, text: 'Call completed'}), 'SIP;cause=200;text="Call completed"');
  const reason = fc.record({
    protocol: fc.constantFrom('SIP', 'Q.850', 'preemption'),
    cause: fc.option(fc.nat(699), {nil: undefined}),
    text: fc.option(fc.string(), {nil: undefined}),
    params: fc.constantFrom(
      new Map(),
      new Map([
        ['x', 'a b'],
        ['y', undefined],
      ]),
    ),
  });
  fc.assert(
    fc.property(fc.array(reason), (reasons) => {
      t.deepEqual(parseReason(formatReason(...reasons)), reasons);
    }),
  );
});

const cases: readonly (readonly [string, string | undefined, number | 'absent' | 'other'])[] = [
  ['8.3.2.3 T1: no Reason is told apart from every other', undefined, 'absent'],
  ['8.3.2.3 T2: a Reason of Q.850 alone is another reason', 'Q.850;cause=16', 'other'],
  ['8.3.2.3 T2: among several values that of SIP decides', 'Q.850;cause=16;text="x, SIP;cause=1", SIP;cause=410', 410],
  [
    '8.3.2.3 T3: blanks, order, letter case and a trailing semicolon do not count',
    ' sip ; text="x" ; CAUSE = 480 ; ',
    480,
  ],
  ['8.3.2.3 T3: no text is needed', 'SIP;cause=200;', 200],
  ['8.3.2.3 T3: text alone decides nothing', 'SIP;text="Call completed"', 'other'],
  ['8.3.2.3 T3: a cause that is no number is none', 'SIP;cause=2OO', 'other'],
  ['8.3.2.3 T1: an empty Reason is not an absent one', '', 'other'],
];
for (const [title, header, cause] of cases) {
  test(title, (t) => {
    t.is(sipCause(header), cause);
  });
}

test('RFC 3326 §2: whatever a Reason holds, reading it fails nowhere', (t) => {
  fc.assert(
    fc.property(fc.string({unit: fc.constantFrom('SIP', ';', ',', '"', 'cause=', '2', ' ', '\\')}), (text) => {
      sipCause(text);
    }),
  );
  t.pass();
});
