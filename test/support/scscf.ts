/** An S-CSCF whose words a test chooses, over ISC: the fixtures of test/fixtures/isc, and what is said in the dialogs that follow. */
import {randomUUID} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import type {ExecutionContext} from 'ava';
import type {Deployment} from './deployment.ts';
import {MsrpPeer} from './msrp-peer.ts';
import {rawSip, type RawMessage, type RawSip} from './raw-sip.ts';
import {addressOf} from './registrar-peer.ts';

export const user = 'sip:user2_public1@home1.net';
export const gruu = 'sip:user2_public1@home1.net;gr=urn:gsma:imei:90420156-025763-0';
export const served = {served: {users: [{identities: [user, 'tel:+15550142']}], numberPrefixes: []}};

export interface Scscf extends RawSip {
  /** The Route with the original dialog identifier, as it stands in the fixture. */
  readonly odi: string;
  /** Sends a fixture; `change` is for what the test wants otherwise. */
  hand(name: 'register' | 'invite', values?: Readonly<Record<string, string>>, change?: (text: string) => string): void;
}

/** Starts one beside a deployment. */
export async function scscf(t: ExecutionContext, pf: Deployment): Promise<Scscf> {
  const raw = await rawSip({server: addressOf(pf), transport: 'tcp', tag: 'device'});
  t.teardown(async () => raw.close());
  const texts = new Map<string, string>();
  for (const name of ['register', 'invite']) texts.set(name, await readFile(`test/fixtures/isc/${name}.sip`, 'utf8'));
  return {
    ...raw,
    odi: `<sip:cb03a0s09a2sdfglkj490333@${raw.address};transport=tcp;lr>`,
    hand(name, values = {}, change = (text) => text) {
      const all: Readonly<Record<string, string>> = {
        pf: addressOf(pf),
        scscf: raw.address,
        target: user,
        regstate: 'reg',
        branch: `z9hG4bK${randomUUID()}`,
        callid: randomUUID(),
        ...values,
      };
      const text = change(texts.get(name) ?? '').replaceAll(/\{(\w+)\}/g, (_, key: string) => all[key] ?? '');
      const end = text.indexOf('\n\n');
      raw.send(text.slice(0, end), text.slice(end + 2).replaceAll('\n', '\r\n'));
    },
  };
}

/** The next final response. */
export const final = async (peer: RawSip): Promise<RawMessage> => {
  for (;;) {
    const answer = await peer.next('SIP/2.0');
    if (!answer.startLine.startsWith('SIP/2.0 1')) return answer;
  }
};

export const charging = 'icid-value="AyretyU0dm+6O2IrT5tAFrbHLso=023551024";orig-ioi="home1.net"';
/** What belongs to the session passes from leg to leg as it stands. */
export const passes: readonly (readonly [name: string, value: string])[] = [
  ['P-Charging-Vector', charging],
  ['P-Charging-Function-Addresses', 'ccf=192.1.1.1; ecf=192.1.1.2'],
  ['P-Access-Network-Info', '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=234151D0FCE11'],
  ['History-Info', '<sip:user2_old@home1.net>;index=1, <sip:user2_public1@home1.net;cause=302>;index=1.1'],
  ['P-Asserted-Identity', '"John Doe" <sip:user1_public1@home1.net>, <tel:+15550141>'],
  ['P-Asserted-Service', 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session'],
  ['Privacy', 'none'],
  ['Conversation-ID', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
  ['Contribution-ID', 'abcdef-1234-5678-90ab-cdef01234567'],
];

export const valueOf = (message: RawMessage, name: string): string =>
  message
    .headers(name)
    .join(', ')
    .replaceAll(/\s*;\s*/g, ';');

export const answerSdp = (path: string): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 9 TCP/MSRP *',
    'a=accept-types:message/cpim',
    `a=path:${path}`,
    'a=setup:active',
    '',
  ].join('\r\n');

export const pathIn = (message: RawMessage): string => /a=path:(\S+)/.exec(message.body.toString())?.[1] ?? '';

/** An empty SEND binds an MSRP session (RFC 4975 §5.4). */
export async function binding(t: ExecutionContext, to: string, from: string): Promise<void> {
  const peer = await MsrpPeer.to(to);
  t.teardown(() => peer.socket.destroy());
  peer.write(`MSRP bind1 SEND\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\nMessage-ID: bind\r\n-------bind1$\r\n`);
  t.is((await peer.next()).what, '200');
}

/** A request inside the dialog of an INVITE that the PF answered so. */
export function inside(peer: Scscf, method: string, answer: RawMessage): void {
  const target = /<([^>]+)>/.exec(answer.header('Contact'))?.[1] ?? '';
  peer.send(
    [
      `${method} ${target} SIP/2.0`,
      `Via: SIP/2.0/TCP ${peer.address};branch=z9hG4bK${randomUUID()}`,
      'Max-Forwards: 70',
      `From: ${answer.header('From')}`,
      `To: ${answer.header('To')}`,
      `Call-ID: ${answer.header('Call-ID')}`,
      `CSeq: ${method === 'ACK' ? 127 : 128} ${method}`,
    ].join('\n'),
  );
}
