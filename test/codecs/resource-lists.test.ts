import test from 'ava';
import fc from 'fast-check';
import {formatMultipart} from '../../lib/codecs/multipart.ts';
import {
  type ListEntry,
  formatResourceLists,
  parseResourceLists,
  resourceListsIn,
  resourceListsPart,
  sessionReplaces,
} from '../../lib/codecs/resource-lists.ts';
import {CpmError} from '../../lib/errors.ts';

// RFC 5364 §6, figure 3
const recipientList = `<?xml version="1.0" encoding="UTF-8"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"
          xmlns:cp="urn:ietf:params:xml:ns:copycontrol">
  <list>
    <entry uri="sip:bill@example.com" cp:copyControl="to" />
    <entry uri="sip:randy@example.net" cp:copyControl="to"
                                       cp:anonymize="true"/>
    <entry uri="sip:eddy@example.com" cp:copyControl="to"
                                      cp:anonymize="true"/>
    <entry uri="sip:joe@example.org" cp:copyControl="cc" />
    <entry uri="sip:carol@example.net" cp:copyControl="cc"
                                       cp:anonymize="true"/>
    <entry uri="sip:ted@example.net" cp:copyControl="bcc" />
    <entry uri="sip:andy@example.com" cp:copyControl="bcc" />
  </list>
</resource-lists>`;

// RFC 5364 §6, figure 4
const history = `<?xml version="1.0" encoding="UTF-8"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"
          xmlns:cp="urn:ietf:params:xml:ns:copycontrol">
  <list>
    <entry uri="sip:bill@example.com" cp:copyControl="to" />
    <entry uri="sip:anonymous@anonymous.invalid" cp:copyControl="to"
                                                 cp:count="2"/>
    <entry uri="sip:joe@example.org" cp:copyControl="cc" />
    <entry uri="sip:anonymous@anonymous.invalid" cp:copyControl="cc"
                                                 cp:count="1"/>
  </list>
</resource-lists>`;

/** Without the properties that are undefined. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('RFC 5364 §6: a recipient list says who is invited, how, and whom the others are not to see', (t) => {
  t.deepEqual(plain(parseResourceLists(recipientList)), [
    {uri: 'sip:bill@example.com', copyControl: 'to'},
    {uri: 'sip:randy@example.net', copyControl: 'to', anonymize: true},
    {uri: 'sip:eddy@example.com', copyControl: 'to', anonymize: true},
    {uri: 'sip:joe@example.org', copyControl: 'cc'},
    {uri: 'sip:carol@example.net', copyControl: 'cc', anonymize: true},
    {uri: 'sip:ted@example.net', copyControl: 'bcc'},
    {uri: 'sip:andy@example.com', copyControl: 'bcc'},
  ]);
});

test('RFC 5364 §6: in a recipient-list-history those who are not named are counted', (t) => {
  t.deepEqual(plain(parseResourceLists(history)), [
    {uri: 'sip:bill@example.com', copyControl: 'to'},
    {uri: 'sip:anonymous@anonymous.invalid', copyControl: 'to', count: 2},
    {uri: 'sip:joe@example.org', copyControl: 'cc'},
    {uri: 'sip:anonymous@anonymous.invalid', copyControl: 'cc', count: 1},
  ]);
});

test('RFC 4826 §3.3, RFC 5366 §4: lists in lists are one list, and what stands elsewhere is left out', (t) => {
  const entries = parseResourceLists(`<?xml version="1.0" encoding="UTF-8"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <list name="friends">
  <entry uri="sip:bill@example.com">
   <display-name>Bill Doe</display-name>
  </entry>
  <entry-ref ref="resource-lists/users/sip:bill@example.com/index/~~/resource-lists/list%5b@name=%22list1%22%5d/entry%5b@uri=%22sip:petri@example.com%22%5d"/>
  <list name="close-friends">
   <display-name>Close Friends</display-name>
   <entry uri="sip:joe@example.com"><display-name>Joe Smith</display-name></entry>
   <entry uri="sip:nancy@example.com"><display-name>Nancy Gross</display-name></entry>
   <external anchor="http://xcap.example.org/resource-lists/users/sip:a@example.org/index/~~/resource-lists/list%5b@name=%22mkting%22%5d">
    <display-name>Marketing</display-name>
   </external>
  </list>
  <entry/><entry uri=" "/>
 </list>
</resource-lists>`);
  t.deepEqual(plain(entries), [
    {uri: 'sip:bill@example.com', displayName: 'Bill Doe'},
    {uri: 'sip:joe@example.com', displayName: 'Joe Smith'},
    {uri: 'sip:nancy@example.com', displayName: 'Nancy Gross'},
  ]);
});

test('RFC 3261 §19.1.1: headers of an entry’s URI are read apart from it, Session-Replaces among them', (t) => {
  const [extended, other, number] = parseResourceLists(
    `<rl:resource-lists xmlns:rl="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:ietf:params:xml:ns:copyControl"><rl:list>
      <rl:entry uri="sip:+15550102@home.example;user=phone?session-replaces=abcdef-1234&amp;Subject=a%20b%26c" x:copyControl="To"/>
      <rl:entry uri="sip:who%3f?x@home.example?Priority=%zz"/>
      <rl:entry uri="tel:+15550103?x"/>
    </rl:list></rl:resource-lists>`,
  );
  t.is(extended?.uri, 'sip:+15550102@home.example;user=phone');
  t.deepEqual(extended?.headers, [
    {name: 'session-replaces', value: 'abcdef-1234'},
    {name: 'Subject', value: 'a b&c'},
  ]);
  t.is(extended && sessionReplaces(extended), 'abcdef-1234');
  t.is(extended?.copyControl, 'to');
  t.deepEqual(plain(other), {uri: 'sip:who%3f?x@home.example', headers: [{name: 'Priority', value: '%zz'}]});
  t.is(other && sessionReplaces(other), undefined);
  t.deepEqual(plain(number), {uri: 'tel:+15550103?x'});
});

test('E9 RFC 5364 §4: a list is written in the schema’s form, and without the second namespace where nothing is in it', (t) => {
  t.is(
    formatResourceLists([
      {
        uri: 'sip:bob@home.example',
        headers: [{name: 'Session-Replaces', value: 'a&b'}],
        displayName: '"Bob" & Co.',
        copyControl: 'to',
      },
      {uri: 'sip:anonymous@anonymous.invalid', count: 2, anonymize: false},
    ]),
    '<?xml version="1.0" encoding="UTF-8"?>\r\n' +
      '<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copycontrol"><list>' +
      '<entry uri="sip:bob@home.example?Session-Replaces=a%26b" cp:copyControl="to">' +
      '<display-name>&quot;Bob&quot; &amp; Co.</display-name></entry>\r\n' +
      '<entry uri="sip:anonymous@anonymous.invalid" cp:anonymize="false" cp:count="2"/></list></resource-lists>\r\n',
  );
  t.is(
    formatResourceLists([]),
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list/></resource-lists>\r\n',
  );
});

test('RFC 5366 §4, RFC 5364 §7: a list is found among the parts of an INVITE, with what it is for', (t) => {
  const sdp = {headers: [{name: 'Content-Type', value: 'application/sdp'}], body: Buffer.from('v=0\r\n')};
  const entries = [{uri: 'sip:bob@home.example'}];
  for (const purpose of ['recipient-list', 'recipient-list-history'] as const) {
    const part = resourceListsPart(entries, purpose);
    t.is(part.headers[1]?.value, purpose === 'recipient-list' ? purpose : 'recipient-list-history;handling=optional');
    const body = formatMultipart([sdp, part], 'group');
    t.deepEqual(plain(resourceListsIn('multipart/mixed;boundary=group', body)), {entries, purpose});
    t.deepEqual(plain(resourceListsIn('Application/Resource-Lists+XML', part.body)), {entries});
  }

  t.is(resourceListsIn('application/sdp', Buffer.from('v=0\r\n')), undefined);
});

test('E9: whatever the people are called, the list is read as it was written', (t) => {
  const text = fc.string({unit: 'grapheme', minLength: 1}).filter((each) => each.trim() === each);
  const entry: fc.Arbitrary<ListEntry> = fc.record(
    {
      uri: fc.oneof(
        fc.constantFrom('tel:+15550102', 'sip:a@h;x=1&2', 'sip:h', 'sip:q?m@h'),
        text.map((user) => `sip:${encodeURIComponent(user)}@home.example`),
      ),
      headers: fc.array(fc.record({name: text, value: fc.string({unit: 'grapheme'})}), {minLength: 1, maxLength: 3}),
      displayName: text,
      copyControl: fc.constantFrom('to', 'cc', 'bcc'),
      anonymize: fc.boolean(),
      count: fc.nat(),
    },
    {requiredKeys: ['uri']},
  );
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const given = entries.map(({headers, ...rest}) =>
        headers === undefined || rest.uri.startsWith('tel:') ? rest : {...rest, headers},
      );
      t.deepEqual(plain(parseResourceLists(formatResourceLists(given))), plain(given));
    }),
  );
});

test('E9 T63: what is no list, has a DTD or is too large is refused with 400; nothing else comes out', (t) => {
  for (const [document, code] of [
    ['<list/>', 'CPM_RESOURCE_LISTS'],
    ['<resource-lists xmlns="urn:other"/>', 'CPM_RESOURCE_LISTS'],
    ['<!DOCTYPE resource-lists><resource-lists/>', 'CPM_XML'],
    [`<resource-lists><list>${'<list>'.repeat(40)}${'</list>'.repeat(40)}</list></resource-lists>`, 'CPM_XML'],
    [`<resource-lists><list>${'<entry uri="sip:a@b"/>'.repeat(20_000)}</list></resource-lists>`, 'CPM_XML'],
    ['', 'CPM_XML'],
  ] as const)
    t.like(
      t.throws(() => parseResourceLists(document), {instanceOf: CpmError}),
      {code, status: 400},
      document.slice(0, 80),
    );
  fc.assert(
    fc.property(
      fc.nat(recipientList.length),
      fc.nat(80),
      fc.string({unit: 'binary', maxLength: 5}),
      (at, length, noise) => {
        try {
          parseResourceLists(recipientList.slice(0, at) + noise + recipientList.slice(at + length));
        } catch (error) {
          t.true(error instanceof CpmError, String(error));
        }
      },
    ),
  );
});
