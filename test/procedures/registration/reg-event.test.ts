import test from 'ava';
import {parseReginfo} from '../../../lib/codecs/reginfo.ts';
import type {Registration} from '../../../lib/ports/registrations.ts';
import {applyReginfo, registrationOf, type RegState} from '../../../lib/procedures/registration/reg-event.ts';

const empty: RegState = {version: undefined, registrations: new Map()};
const known: Registration = {
  servedUser: 'tel:+15550102',
  identities: ['tel:+15550102'],
  contacts: [],
  servingNode: 'sip:scscf.home.example',
  expiresAt: 600_000,
};
const contact = (id: string, state: string): string =>
  `<contact id="${id}" state="${state}" event="registered" expires="60"><uri>sip:${id}@192.0.2.1</uri></contact>`;
const document = (version: number, state: string, contacts: readonly string[], aorState = 'active') =>
  parseReginfo(
    `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="${version}" state="${state}">` +
      `<registration aor="sip:bob@home.example" id="r" state="${aorState}">${contacts.join('')}</registration></reginfo>`,
  );
const urisOf = (state: RegState): readonly (string | undefined)[] | undefined =>
  registrationOf(state, known, 0)?.contacts.map(({uri}) => uri);

test('RFC 3680 §5.2: a partial document changes what it names, a full one replaces all', (t) => {
  const first = applyReginfo(empty, document(0, 'full', [contact('a', 'active'), contact('b', 'active')]));
  const second = applyReginfo(
    first.state,
    document(1, 'partial', [contact('a', 'terminated'), contact('c', 'active')]),
  );
  t.deepEqual(urisOf(second.state), ['sip:b@192.0.2.1', 'sip:c@192.0.2.1']);
  t.false(second.refresh);
  const third = applyReginfo(second.state, document(2, 'full', [contact('d', 'active')]));
  t.deepEqual(urisOf(third.state), ['sip:d@192.0.2.1']);
});

test('RFC 3680 §5.2: an old document changes nothing, and a gap before a partial one asks for a full one', (t) => {
  const {state} = applyReginfo(empty, document(5, 'full', [contact('a', 'active')]));
  t.is(applyReginfo(state, document(5, 'full', [])).state, state);
  t.true(applyReginfo(state, document(7, 'partial', [])).refresh);
  t.false(applyReginfo(state, document(7, 'full', [])).refresh);
});

test('RFC 3680 §5.2: a terminated registration is none, and an active one brings its identity and expiry', (t) => {
  t.is(registrationOf(applyReginfo(empty, document(0, 'full', [], 'terminated')).state, known, 0), undefined);
  const registration = registrationOf(
    applyReginfo(empty, document(0, 'full', [contact('a', 'active')])).state,
    known,
    0,
  );
  t.deepEqual(registration?.identities, ['tel:+15550102', 'sip:bob@home.example']);
  t.like(registration?.contacts[0], {cpm: 'no', expiresAt: 60_000});
  t.is(registration?.servingNode, known.servingNode);
});
