/** An S-CSCF whose words a test chooses: third-party REGISTERs, and the reg event of those whom it registered. */
import {randomUUID} from 'node:crypto';
import type {ExecutionContext} from 'ava';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import type {Deployment} from './deployment.ts';
import {rawSip, type RawMessage, type RawSip} from './raw-sip.ts';

/** A contact as a phone registers it. */
export interface Contact {
  readonly uri: string;
  readonly instance?: string;
  /** Whether it names the service of CPM sessions. */
  readonly cpm: boolean;
  readonly publicGruu?: string;
}

export interface Told {
  /** Without any the REGISTER has no body. */
  readonly contacts?: readonly Contact[];
  /** P-Associated-URI. */
  readonly associated?: readonly string[];
  readonly expires?: number;
  /** Where requests for the user go; this peer by default. */
  readonly servingNode?: string;
}

export interface RegistrarPeer {
  readonly raw: RawSip;
  readonly uri: string;
  /** Sends a third-party REGISTER; resolves with the status of the answer. */
  register(user: string, told?: Told): Promise<number>;
  /** Takes the SUBSCRIBE to the reg event; resolves with what notifies within it. */
  subscribed(): Promise<(document: string, state?: string) => Promise<number>>;
}

export const icsiParameter = `+g.3gpp.icsi-ref="${encodeURIComponent(ICSI.session)}"`;

/** Where the PF's SIP server listens, `host:port`. */
export const addressOf = (pf: Deployment): string => /^sip:([^;]+)/.exec(pf.core.pf ?? '')?.[1] ?? '';

/** Starts the peer; it goes away with the test. */
export async function registrarPeer(t: ExecutionContext, pf: Deployment): Promise<RegistrarPeer> {
  const raw = await rawSip({server: addressOf(pf), transport: 'tcp', tag: 'scscf'});
  t.teardown(async () => raw.close());
  const uri = `sip:${raw.address};transport=tcp`;
  const via = (): string => `Via: SIP/2.0/TCP ${raw.address};branch=z9hG4bK${randomUUID()}`;
  const status = (answer: RawMessage): number => Number(answer.startLine.split(' ')[1]);

  return {
    raw,
    uri,
    async register(user, {contacts, associated = [user], expires = 3600, servingNode = uri} = {}) {
      const boundary = 'registration';
      const body = contacts === undefined ? '' : parts(user, contacts, associated, boundary);
      raw.send(
        [
          `REGISTER ${pf.core.pf ?? ''} SIP/2.0`,
          via(),
          'Max-Forwards: 70',
          `From: <${uri}>;tag=${randomUUID()}`,
          `To: <${user}>`,
          `Call-ID: ${randomUUID()}`,
          'CSeq: 1 REGISTER',
          `Contact: <${servingNode}>`,
          `Expires: ${expires}`,
          ...(body === '' ? [] : [`Content-Type: multipart/mixed;boundary=${boundary}`]),
        ].join('\n'),
        body,
      );
      return status(await raw.next('SIP/2.0'));
    },
    async subscribed() {
      const subscribe = await raw.next('SUBSCRIBE');
      raw.answer(subscribe, '200 OK', [`Contact: <${uri}>`, 'Expires: 600000']);
      const target = /<([^>]+)>/.exec(subscribe.header('Contact'))?.[1] ?? '';
      let cseq = 0;
      return async (document, state = 'active;expires=600000') => {
        cseq += 1;
        raw.send(
          [
            `NOTIFY ${target} SIP/2.0`,
            via(),
            'Max-Forwards: 70',
            `From: ${subscribe.header('To')};tag=scscf`,
            `To: ${subscribe.header('From')}`,
            `Call-ID: ${subscribe.header('Call-ID')}`,
            `CSeq: ${cseq} NOTIFY`,
            `Contact: <${uri}>`,
            'Event: reg',
            `Subscription-State: ${state}`,
            'Content-Type: application/reginfo+xml',
          ].join('\n'),
          document,
        );
        return status(await raw.next('SIP/2.0'));
      };
    },
  };
}

/** The phone's REGISTER and its 200, as the filter criteria ask for them (TS 24.229 §5.4.1.7). */
function parts(user: string, contacts: readonly Contact[], associated: readonly string[], boundary: string): string {
  const common = [
    'Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bKphone',
    `From: <${user}>;tag=phone`,
    `To: <${user}>`,
    'Call-ID: phone',
    'CSeq: 1 REGISTER',
  ];
  const messages = [
    [
      'REGISTER sip:home.example SIP/2.0',
      'Max-Forwards: 70',
      ...common,
      ...contacts.map((each) => contactOf(each, 'said')),
    ],
    [
      'SIP/2.0 200 OK',
      ...common,
      ...contacts.map((each) => contactOf(each, 'listed')),
      `P-Associated-URI: ${associated.map((each) => `<${each}>`).join(', ')}`,
    ],
  ].map((lines) => [...lines, 'Content-Length: 0', '', ''].join('\r\n'));
  return [
    ...messages.map((message) => `--${boundary}\r\nContent-Type: message/sip\r\n\r\n${message}\r\n`),
    `--${boundary}--\r\n`,
  ].join('');
}

function contactOf({uri, instance, cpm, publicGruu}: Contact, how: 'said' | 'listed'): string {
  return [
    `Contact: <${uri}>`,
    ...(instance === undefined ? [] : [`+sip.instance="${instance}"`]),
    ...(how === 'said' && cpm ? [icsiParameter] : []),
    ...(how === 'listed' && publicGruu !== undefined ? [`pub-gruu="${publicGruu}"`] : []),
    'expires=3600',
  ].join(';');
}
