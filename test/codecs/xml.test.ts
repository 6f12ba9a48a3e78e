import test from 'ava';
import fc from 'fast-check';
import {
  escapeXml,
  isElement,
  parseXml,
  xmlAttribute,
  xmlChild,
  xmlChildText,
  xmlChildren,
} from '../../lib/codecs/xml.ts';
import {CpmError} from '../../lib/errors.ts';

test('E9 T63: prefixes do not count, namespaces do', (t) => {
  const documents = [
    '<r xmlns="u:r"><c x="1">t</c></r>',
    '<a:r xmlns:a="u:r"><a:c x="1">t</a:c></a:r>',
    '<b:r xmlns:b="u:r"><c xmlns="u:r" b:x="1">t</c></b:r>',
  ];
  for (const document of documents) {
    const root = parseXml(`<?xml version="1.0" encoding="UTF-8"?>\r\n<!-- x -->${document}\n`);
    t.true(isElement(root, 'r', 'u:r'));
    t.false(isElement(root, 'r', 'u:other'));
    const [child] = xmlChildren(root, 'c');
    t.like(child, {name: 'c', namespace: 'u:r', text: 't'});
    t.is(child === undefined ? undefined : xmlAttribute(child, 'x'), '1');
  }
});

test('E9: an element without any namespace is taken for the wanted one, an undeclared prefix too', (t) => {
  t.true(isElement(parseXml('<r/>'), 'r', 'u:r'));
  t.true(isElement(parseXml('<q:r/>'), 'r', 'u:r'));
  t.false(isElement(parseXml('<r xmlns="u:other"/>'), 'r', 'u:r'));
  t.is(parseXml('<r xmlns="u:r"><c xmlns=""/></r>').children[0]?.namespace, undefined);
});

test('E9: text is kept as it stands, CDATA is text, numbers stay text', (t) => {
  const root = parseXml('<r> a<!-- c --> <b>\n007</b><c>1e3</c><![CDATA[<&amp;>]]>z</r>');
  t.is(root.text, ' a <&amp;>z');
  t.is(xmlChildText(root, 'b'), '007');
  t.is(xmlChild(root, 'c')?.text, '1e3');
  t.is(xmlChildText(root, 'none'), undefined);
  t.is(xmlChild(root, 'none'), undefined);
});

test('E9: the five entities and numeric ones are resolved, all others stay', (t) => {
  t.is(
    parseXml('<r>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;&nbsp;&#0;&#xD800;&amp;lt;</r>').text,
    '<>&"\'A😀&nbsp;&#0;&#xD800;&lt;',
  );
  t.is(xmlAttribute(parseXml('<r a="sip:a@b?x=1&amp;y=2"/>'), 'a'), 'sip:a@b?x=1&y=2');
});

test('E9 T63: a document type is refused, so that no entity ever expands', (t) => {
  const bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>';
  for (const document of [
    bomb,
    '<!doctype r><r/>',
    '<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
    '<r><!ENTITY a "b"></r>',
  ]) {
    t.throws(() => parseXml(document), {instanceOf: CpmError, code: 'CPM_XML'}, document);
  }
});

test('E9 T63: size and depth are bounded', (t) => {
  t.throws(() => parseXml(`<r>${'é'.repeat(131_072)}</r>`), {code: 'CPM_XML'});
  t.notThrows(() => parseXml(`<r>${'x'.repeat(262_137)}</r>`));
  t.throws(() => parseXml('<r>12</r>', {maxOctets: 8}), {code: 'CPM_XML'});
  const nested = (depth: number) => `${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}`;
  t.notThrows(() => parseXml(nested(32)));
  t.throws(() => parseXml(nested(33)), {code: 'CPM_XML'});
  t.throws(() => parseXml(nested(20_000)), {code: 'CPM_XML'});
});

test('E9: what is not well-formed, or not UTF-8, is refused', (t) => {
  const bad = [
    '',
    'x',
    '<a>',
    '<a><b></a></b>',
    '<a/><b/>',
    '<a>&</a>',
    '<a x=1/>',
    '<a x="1" x="2"/>',
    '<__proto__/>',
    '<a __proto__="1"/>',
  ];
  for (const document of bad) t.throws(() => parseXml(document), {code: 'CPM_XML'}, document);
  t.throws(() => parseXml(Buffer.from('<a>\xe9</a>', 'latin1')), {code: 'CPM_XML'});
  t.is(parseXml(Buffer.from('\ufeff<a>é</a>')).text, 'é');
});

test('E9 T63: what is escaped is read back, as content and as attribute', (t) => {
  fc.assert(
    fc.property(fc.string({unit: 'grapheme'}), (text) => {
      const root = parseXml(`<r a="${escapeXml(text)}">${escapeXml(text)}</r>`);
      t.is(root.text, text);
      t.is(xmlAttribute(root, 'a'), text);
    }),
  );
});

test('E9: no text at all can be escaped into a document that cannot be read', (t) => {
  fc.assert(
    fc.property(fc.string({unit: 'binary'}), (text) => {
      t.is(parseXml(`<r a="${escapeXml(text)}"/>`).name, 'r');
    }),
  );
  t.is(escapeXml('<a b="\'&\t\r\n">'), '&lt;a b=&quot;&apos;&amp;&#9;&#13;&#10;&quot;&gt;');
  t.is(escapeXml('a\u0000\ud800b'), 'a\ufffd\ufffdb');
});

test('E9: whatever comes in, only CpmError comes out', (t) => {
  const pieces = fc.constantFrom(
    '<a>',
    '</a>',
    '<a',
    '/>',
    '>',
    '<![CDATA[',
    ']]>',
    '<!--',
    '-->',
    '<?',
    '?>',
    '&',
    '&lt;',
    '"',
    '=',
    'x',
    ' ',
    'xmlns:a="u"',
    '<a:b',
    '#text',
    'constructor',
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({unit: pieces, maxLength: 30}), fc.uint8Array()), (input) => {
      for (const document of typeof input === 'string' ? [input, `<a>${input}</a>`, `<a ${input}></a>`] : [input]) {
        try {
          parseXml(document);
        } catch (error) {
          t.true(error instanceof CpmError, String(error));
        }
      }
    }),
  );
  t.pass();
});

test('E9 Namespaces in XML §4: a name that begins with a colon is not the name behind it', (t) => {
  const root = parseXml('<a :b="1" b="2"/>');
  t.deepEqual(
    root.attributes.map(({name}) => name),
    [':b', 'b'],
  );
  t.is(xmlAttribute(root, 'b'), '2');
});

test('E9 XML 1.0 §2.3: markup is no name of an element', (t) => {
  t.is(t.throws(() => parseXml('<a><b/><!</a>'), {instanceOf: CpmError}).code, 'CPM_XML');
  t.is(parseXml('<é.1-ü/>').name, 'é.1-ü');
});
