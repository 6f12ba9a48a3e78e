import test from 'ava';
import fc from 'fast-check';
import {parseReginfo} from '../../lib/codecs/reginfo.ts';
import {hasIcsi, sipInstance} from '../../lib/codecs/sip-headers/features.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {CpmError} from '../../lib/errors.ts';

// RFC 5628 §8.2, its first two registrations, allOneLine folded together
const implicit = `<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo"
         xmlns:gr="urn:ietf:params:xml:ns:gruuinfo"
         version="1" state="full">
  <registration aor="sip:user_aor_1@example.net" id="a7" state="active">
    <contact id="92" state="active" event="registered" duration-registered="1" expires="3599"
             callid="faif9a@ua.example.com" cseq="23001">
      <uri>
        sip:ua.example.com
      </uri>
      <unknown-param name="+sip.instance">
        "&lt;urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6&gt;"
      </unknown-param>
      <gr:pub-gruu uri="sip:user_aor_1@example.net;gr=hha9s8d-999a"/>
      <gr:temp-gruu uri="sip:8ffkas08af7fasklzi9@example.net;gr" first-cseq="54301"/>
    </contact>
  </registration>
  <registration aor="sip:+358504821437@example.net;user=phone" id="a9" state="active">
    <contact id="94" state="active" event="created" duration-registered="1" expires="3599"
             callid="faif9a@ua.example.com" cseq="23001">
      <uri>sip:ua.example.com</uri>
    </contact>
  </registration>
</reginfo>`;

test('RFC 5628 §8.2: an implicit registration with its GRUUs is read', (t) => {
  const {version, state, registrations} = parseReginfo(implicit);
  t.deepEqual([version, state], [1, 'full']);
  t.deepEqual(
    registrations.map(({aor, id, state: active}) => [aor, id, active]),
    [
      ['sip:user_aor_1@example.net', 'a7', 'active'],
      ['sip:+358504821437@example.net;user=phone', 'a9', 'active'],
    ],
  );
  t.deepEqual(registrations[0]?.contacts, [
    {
      id: '92',
      state: 'active',
      event: 'registered',
      uri: 'sip:ua.example.com',
      expiresSeconds: 3599,
      retryAfterSeconds: undefined,
      q: undefined,
      callId: 'faif9a@ua.example.com',
      params: new Map([['+sip.instance', '<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>']]),
      publicGruu: 'sip:user_aor_1@example.net;gr=hha9s8d-999a',
      temporaryGruu: 'sip:8ffkas08af7fasklzi9@example.net;gr',
    },
  ]);
});

test('RFC 3680 §5.2 T37: features of a contact tell a CPM client from a voice client', (t) => {
  const {registrations} = parseReginfo(`<r:reginfo xmlns:r="urn:ietf:params:xml:ns:reginfo" version="0" state="partial">
    <r:registration aor="tel:+358504821437" id="a8" state="active">
      <r:contact id="76" state="active" event="shortened" expires="7200" q="0.8"><r:uri>sip:[5555::aaa]:1357</r:uri>
        <r:unknown-param name="+SIP.instance">"&lt;urn:gsma:imei:35469106-056673-0&gt;"</r:unknown-param>
        <r:unknown-param name="+g.3gpp.icsi-ref">"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"</r:unknown-param>
        <r:unknown-param name="video"></r:unknown-param>
      </r:contact>
      <r:contact id="77" state="terminated" event="probation" retry-after="60" q="2"><r:uri>sip:[5555::bbb]:1357</r:uri></r:contact>
      <r:contact id="78" state="active" event="unheard-of"><r:uri>sip:c</r:uri></r:contact>
    </r:registration></r:reginfo>`);
  const [cpm, gone, other] = registrations[0]?.contacts ?? [];
  t.like(cpm, {event: 'shortened', expiresSeconds: 7200, q: 0.8, publicGruu: undefined});
  t.true(hasIcsi(cpm?.params ?? new Map(), ICSI.session));
  t.is(sipInstance(cpm?.params ?? new Map()), '<urn:gsma:imei:35469106-056673-0>');
  t.true(cpm?.params.has('video'));
  t.is(cpm?.params.get('video'), undefined);
  t.like(gone, {state: 'terminated', event: 'probation', retryAfterSeconds: 60, q: undefined});
  t.false(hasIcsi(gone?.params ?? new Map(), ICSI.session));
  t.is(other?.event, undefined);
});

test('RFC 3680 §5.1: a document without version, state, ids or URIs is refused with 400', (t) => {
  const documents = [
    '<x/>',
    '<reginfo state="full"/>',
    '<reginfo version="0"/>',
    '<reginfo version="-1" state="full"/>',
    '<reginfo xmlns="urn:other" version="0" state="full"/>',
    '<reginfo version="0" state="full"><registration id="a" state="active"/></reginfo>',
    '<reginfo version="0" state="full"><registration aor="sip:a" state="active"/></reginfo>',
    '<reginfo version="0" state="full"><registration aor="sip:a" id="a" state="x"/></reginfo>',
    '<reginfo version="0" state="full"><registration aor="sip:a" id="a" state="active"><contact id="c" state="active"/></registration></reginfo>',
    '<reginfo version="0" state="full"><registration aor="sip:a" id="a" state="active"><contact id="c"><uri>sip:b</uri></contact></registration></reginfo>',
  ];
  for (const document of documents)
    t.throws(() => parseReginfo(document), {instanceOf: CpmError, code: 'CPM_REGINFO'}, document);
  for (const state of ['init', 'active', 'terminated'] as const) {
    const document = `<reginfo version="7" state="partial"><registration aor="sip:a" id="a" state="${state}"/></reginfo>`;
    t.is(parseReginfo(document).registrations[0]?.state, state);
  }
  t.deepEqual(parseReginfo('<reginfo version="7" state="full"/>'), {version: 7, state: 'full', registrations: []});
});

test('RFC 3680 §5: whatever comes in, only CpmError comes out', (t) => {
  fc.assert(
    fc.property(fc.nat(implicit.length), fc.nat(80), fc.string({unit: 'binary', maxLength: 5}), (at, length, noise) => {
      try {
        parseReginfo(implicit.slice(0, at) + noise + implicit.slice(at + length));
      } catch (error) {
        t.true(error instanceof CpmError, String(error));
      }
    }),
  );
  t.pass();
});
