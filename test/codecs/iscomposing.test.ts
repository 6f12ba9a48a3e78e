import test from 'ava';
import fc from 'fast-check';
import {formatIsComposing, isComposing, parseIsComposing} from '../../lib/codecs/iscomposing.ts';
import {CpmError} from '../../lib/errors.ts';

test('RFC 3994 §5: the examples of the standard are read', (t) => {
  const root = `<isComposing
    xmlns="urn:ietf:params:xml:ns:im-iscomposing"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="urn:ietf:params:xml:ns:im-composing
    iscomposing.xsd">`;
  t.deepEqual(
    parseIsComposing(`<?xml version="1.0" encoding="UTF-8"?>
  ${root}
      <state>active</state>
      <contenttype>text/plain</contenttype>
      <refresh>90</refresh>
  </isComposing>`),
    {state: 'active', lastActive: undefined, contentType: 'text/plain', refreshSeconds: 90},
  );
  t.deepEqual(
    parseIsComposing(`<?xml version="1.0" encoding="UTF-8"?>
  ${root}
      <state>idle</state>
      <lastactive>2003-01-27T10:43:00Z</lastactive>
      <contenttype>audio</contenttype>
  </isComposing>`),
    {state: 'idle', lastActive: '2003-01-27T10:43:00Z', contentType: 'audio', refreshSeconds: undefined},
  );
});

test('RFC 3994 §3.2: a state that nobody knows is idle', (t) => {
  t.is(parseIsComposing('<isComposing><state>dancing</state></isComposing>').state, 'idle');
});

test('E2 RFC 3994 §7: an indication is known by its type, parameters and letter case aside', (t) => {
  t.true(isComposing('Application/im-isComposing+xml; charset=utf-8'));
  t.false(isComposing('application/im-iscomposing'));
  t.false(isComposing('text/plain'));
});

test('RFC 3994 §6: a formatted indication is read back', (t) => {
  const indication = fc.record({
    state: fc.constantFrom('active' as const, 'idle' as const),
    lastActive: fc.constantFrom(undefined, '2003-01-27T10:43:00Z'),
    contentType: fc.constantFrom(undefined, 'text/plain;x="<&>"'),
    refreshSeconds: fc.option(fc.integer({min: 1, max: 999_999_999}), {nil: undefined}),
  });
  fc.assert(
    fc.property(indication, (value) => {
      t.deepEqual(parseIsComposing(formatIsComposing(value)), value);
    }),
  );
});

test('RFC 3994 §6: whatever comes in, only CpmError comes out', (t) => {
  const pieces = fc.constantFrom(
    '<isComposing>',
    '</isComposing>',
    '<state>',
    '</state>',
    'active',
    '<refresh>1</refresh>',
  );
  fc.assert(
    fc.property(fc.string({unit: pieces}), (text) => {
      try {
        parseIsComposing(text);
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
  t.throws(() => parseIsComposing('<isComposing/>'), {code: 'CPM_ISCOMPOSING'});
});
