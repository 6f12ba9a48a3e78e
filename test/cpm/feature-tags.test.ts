import test from 'ava';
import {ICSI, decodeIcsi, encodeIcsi, isService} from '../../lib/cpm/feature-tags.ts';

test('TS 24.229 §7.2A.8.2: a feature tag carries the ICSI with its colons encoded, and only those', (t) => {
  t.is(encodeIcsi(ICSI.session), 'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session');
  t.is(decodeIcsi('urn%3aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session'), ICSI.session);
});

test('TS 24.229 §7.2A.8.2: a dotted suffix makes a special case, never the other way round', (t) => {
  t.true(isService(ICSI.session, ICSI.session));
  t.true(isService(ICSI.sessionGroup, ICSI.session));
  t.false(isService(ICSI.session, ICSI.sessionGroup));
  t.false(isService('urn:urn-7:3gpp-service.ims.icsi.oma.cpm.sessions', ICSI.session));
  t.false(isService(ICSI.largeMessage, ICSI.pagerMessage));
  t.true(isService('URN:URN-7:3gpp-service.ims.icsi.oma.cpm.session', ICSI.session));
});

test('TS 24.229 §7.2A.8.2: what no ICSI has, such as half of a surrogate pair, can be encoded all the same', (t) => {
  t.is(encodeIcsi('urn:\u{1f600}'), 'urn%3A%F0%9F%98%80');
  t.is(encodeIcsi('\ud83d'), '%EF%BF%BD');
});
