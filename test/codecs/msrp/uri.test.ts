import test from 'ava';
import {CpmError} from '../../../lib/errors.ts';
import {formatMsrpUri, leftmostUri, parseMsrpUri, sameMsrpUri, sessionIdOfPath} from '../../../lib/codecs/msrp/uri.ts';

for (const text of [
  'msrp://atlanta.example.com:7654/jshA7weztas;tcp',
  'msrps://biloxi.example.com:12763/kjhd37s2s20w2a;tcp',
  'msrp://[2001:db8::9]:2855/s-1;tcp',
  'msrps://relay.example.com;tcp',
  'msrp://192.0.2.10/a.b~c+d=e/f;ws',
]) {
  test(`RFC 4975 §6: ${text} is read and written unchanged`, (t) => {
    t.is(formatMsrpUri(parseMsrpUri(text)), text);
  });
}

for (const text of [
  '',
  'msrp://',
  'sip:a@b',
  'msrp://host:70000/a;tcp',
  'msrp://host/a',
  'msrp://ho st/a;tcp',
  'msrp://h/a;tcp\r\nX: y',
]) {
  test(`RFC 4975 §9: «${text}» is no MSRP URI`, (t) => {
    t.is(t.throws(() => parseMsrpUri(text), {instanceOf: CpmError}).code, 'CPM_MSRP_URI');
  });
}

test('RFC 4975 §6.1: host and transport compare without case, session-id with case, user and parameters not at all', (t) => {
  const same = (one: string, other: string) => sameMsrpUri(parseMsrpUri(one), parseMsrpUri(other));
  t.true(same('msrp://bob@Host.example:1/iau3;tcp', 'msrp://host.EXAMPLE:1/iau3;TCP;x=y'));
  t.false(same('msrp://h:1/iau3;tcp', 'msrp://h:1/IAU3;tcp'));
  t.false(same('msrp://h/iau3;tcp', 'msrp://h:2855/iau3;tcp'));
  t.false(same('msrp://h:1/iau3;tcp', 'msrps://h:1/iau3;tcp'));
});

test('E5 RFC 4975 §7.3: the session-id is found whatever host and port the path carries, and only in a path of one URI', (t) => {
  const of = (path: string) => sessionIdOfPath(Buffer.from(path));
  t.is(of('msrp://10.0.0.1:9/jshA7weztas;tcp'), 'jshA7weztas');
  t.is(of('msrps://[2001:db8::9]:1/a/b;tcp'), 'a/b');
  t.is(of('msrp://a:1/x;tcp msrp://b:1/y;tcp'), undefined);
  t.is(of('msrp://a:1;tcp'), undefined);
  t.is(of(''), undefined);
});

test('RFC 4975 §7.2: responses go to the leftmost URI', (t) => {
  t.is(leftmostUri(Buffer.from('msrp://a:1/x;tcp msrp://b:1/y;tcp')).toString(), 'msrp://a:1/x;tcp');
  t.is(leftmostUri(Buffer.from('msrp://a:1/x;tcp')).toString(), 'msrp://a:1/x;tcp');
});
