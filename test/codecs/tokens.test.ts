import test from 'ava';
import fc from 'fast-check';
import {formatParams, parseParams, positionsOutside, quote, splitOutside, unquote} from '../../lib/codecs/tokens.ts';

test('RFC 3261 §7.3.1: commas inside quotes and brackets do not split a list', (t) => {
  t.deepEqual(splitOutside('"A, \\"B\\"" <sip:a,b@c;x>;p="1,2" , <tel:+1>,', ','), [
    '"A, \\"B\\"" <sip:a,b@c;x>;p="1,2"',
    '<tel:+1>',
  ]);
});

test('RFC 3261 §25.1: parameters come in any spacing, flags have no value, names have no case', (t) => {
  t.deepEqual(
    [...parseParams(' ; Cause = 200 ;text="a; b" ;lr;; flag=;')],
    [
      ['cause', '200'],
      ['text', 'a; b'],
      ['lr', undefined],
      ['flag', ''],
    ],
  );
});

test('RFC 3261 §25.1: what is quoted comes back', (t) => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      t.is(unquote(quote(text)), text);
    }),
  );
});

test('RFC 3261 §25.1: a quoted string cannot begin a new header line', (t) => {
  t.is(quote('a\r\nVia: b'), '"a  Via: b"');
});

test('RFC 3840 §9: formatted parameters are read back, feature tags are quoted', (t) => {
  t.is(
    formatParams([
      ['lr', undefined],
      ['q', '0.7'],
      ['+a', 'x'],
    ]),
    ';lr;q=0.7;+a="x"',
  );
  const name = fc.stringMatching(/^[+a-z][a-z0-9.-]{0,10}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(name, fc.option(fc.string({minLength: 1}), {nil: undefined})), {
        selector: ([key]) => key,
      }),
      (params) => {
        t.deepEqual([...parseParams(formatParams(params))], params);
      },
    ),
  );
});

test('RFC 3261 §25.1: pieces of a list stay within it, whatever it is', (t) => {
  fc.assert(
    fc.property(fc.string({unit: fc.constantFrom('"', '<', '>', ',', ';', '\\', 'a', ' ')}), (text) => {
      for (const piece of splitOutside(text, ',')) t.true(text.includes(piece));
      t.true(positionsOutside(text, ',').every((at) => text.charAt(at) === ','));
    }),
  );
});
