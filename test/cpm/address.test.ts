import test from 'ava';
import fc from 'fast-check';
import {asSipRequestUri, canonicalAddress} from '../../lib/cpm/address.ts';
import {CpmError} from '../../lib/errors.ts';

const same = (title: string, key: string, spellings: readonly string[]) => {
  test(title, (t) => {
    for (const spelling of spellings) t.is(canonicalAddress(spelling), key, spelling);
  });
};

same('RFC 3261 §19.1.6: a telephone number is one identity in every spelling', 'tel:+15550100', [
  'tel:+15550100',
  'tel:+1-555-0100',
  ' tel:+15550100 ',
  'TEL:+1(555)01.00',
  'tel:+15550100;cpc=ordinary',
  'sip:+15550100@home.example;user=phone',
  'sip:+1-555-0100@other.example;user=phone',
  'sip:+15550100@home.example',
  'sips:+15550100@home.example:5061;transport=tcp',
  'sip:+15550100;npdi=yes@home.example;user=phone',
  'sip:%2B15550100@home.example;user=phone',
]);

same('RFC 3966 §5.1.5: a local number keeps its context', 'tel:7042;phone-context=example.com', [
  'tel:7042;phone-context=example.com',
  'tel:70-42;ext=1;Phone-Context=Example.COM',
  'sip:7042;phone-context=example.com@home.example;user=phone',
]);

same(
  'RFC 3261 §19.1.4: host case, port, password, parameters, headers and needless escapes make no other person',
  'sip:Alice@home.example',
  [
    'sip:Alice@home.example',
    'sips:Alice:secret@HOME.example:5061;transport=tls?Subject=x',
    'sip:%41lice@home.example;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  ],
);

test('RFC 3261 §19.1.4: the case of a user part makes another person', (t) => {
  t.not(canonicalAddress('sip:alice@home.example'), canonicalAddress('sip:Alice@home.example'));
});

test('RFC 3261 §19.1.1: a URI without user stands for its host, an IPv6 address keeps its brackets', (t) => {
  t.is(canonicalAddress('sip:Chat.Example;transport=tcp'), 'sip:chat.example');
  t.is(canonicalAddress('sip:bob@[2001:DB8::1]:5070'), 'sip:bob@[2001:db8::1]');
});

test('RFC 3966 §3: what is no identity has no key', (t) => {
  const garbage = [
    '',
    'alice',
    'tel:',
    'tel:+',
    'tel:bob',
    'mailto:a@b',
    'sip:',
    'sip:@home',
    'sip:a@',
    'sip:a b@home',
    'sip:a@b@c',
    '<sip:a@b>',
  ];
  for (const text of [
    ...garbage,
    'sip:a@b:port',
    'sip:a@b\r\nVia: x',
    'tel:1;phone-context=<x>',
    `sip:${'a'.repeat(2000)}@b`,
  ]) {
    t.is(canonicalAddress(text), undefined, text);
  }
});

test('RFC 3966 §5.1.4: a key leads to itself, whatever URI it came from', (t) => {
  const uri = fc.oneof(
    fc.string({unit: 'binary'}),
    fc.webUrl().map((url) => `sip:user@${new URL(url).host}`),
    fc.stringMatching(/^(tel|sip|sips):[+%0-9A-Fa-f@;=.:[\]-]{0,30}$/),
  );
  fc.assert(
    fc.property(uri, (text) => {
      const key = canonicalAddress(text);
      if (key === undefined) return;
      t.regex(key, /^(?:tel|sip):/);
      t.is(canonicalAddress(key), key);
    }),
  );
  t.pass();
});

test('RFC 3261 §19.1.6: a tel: address leaves as a SIP URI of the home domain', (t) => {
  t.is(asSipRequestUri('tel:+1-555-0100', 'home.example'), 'sip:+15550100@home.example;user=phone');
  t.is(
    asSipRequestUri('tel:7042;phone-context=example.com', 'home.example'),
    'sip:7042;phone-context=example.com@home.example;user=phone',
  );
  t.is(asSipRequestUri('sip:bob@home.example;gr=urn:x', 'other.example'), 'sip:bob@home.example;gr=urn:x');
});

test('RFC 3261 §19.1.6: no address ever becomes a tel: Request-URI', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^tel:[+0-9a-z;=-]{0,20}$/)), (text) => {
      try {
        t.regex(asSipRequestUri(text, 'home.example'), /^sips?:/i);
      } catch (error) {
        t.true(error instanceof CpmError);
      }
    }),
  );
});
