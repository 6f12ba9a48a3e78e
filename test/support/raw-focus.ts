/** A scripted focus: its invitations and notifications are those of test/fixtures/group, and no part of the simulator is in it. */
import {randomBytes} from 'node:crypto';
import type {ExecutionContext} from 'ava';
import type {Core} from '../../lib/phone/core.ts';
import {deployment, type Deployment, type DeploymentOptions} from './deployment.ts';
import {ids} from './group-deployment.ts';
import {groupFixture, type FilledFixture, type GroupFixture} from './group-fixture.ts';
import {answerText, listeningPeer, MsrpPeer, sendText, type RawFrame} from './msrp-peer.ts';
import {rawSip, type RawMessage, type RawSip} from './raw-sip.ts';

type Invitation = Extract<GroupFixture, `invite-${string}`>;
type Notification = Extract<GroupFixture, `notify-${string}`>;

export interface RawFocusOptions {
  /** The network that invitations go to. */
  readonly core: Pick<Core, 'uri' | 'terminatingRoute'>;
  readonly conversationId: string;
  readonly contributionId: string;
}

export interface RawFocus {
  readonly sip: RawSip;
  /**
   * Sends the invitation, with another body perhaps; resolves once it is answered 200 and acknowledged, and the MSRP session is bound. Every SEND that
   * comes gets 200.
   */
  invite(name: Invitation, bodyOf?: (body: string) => string): Promise<RawCall>;
  /** Sends the invitation, with another body perhaps; resolves with the final answer, which is none that accepts. */
  inviteInVain(name: Invitation, bodyOf?: (body: string) => string): Promise<RawMessage>;
  /** Waits for a SUBSCRIBE outside a dialog, and accepts it; for so many seconds, or as long as it asks for. */
  subscribed(seconds?: number): Promise<RawSubscriber>;
  close(): Promise<void>;
}

export interface RawCall {
  readonly ok: RawMessage;
  readonly msrp: MsrpPeer;
  /** SENDs with a body that came, in order. */
  readonly heard: readonly RawFrame[];
  /** Sends a whole message; resolves with the status of its answer. */
  say(contentType: string, body: string): Promise<string>;
  /** Sends a BYE with these header lines; resolves with its answer. */
  bye(...headerLines: readonly string[]): Promise<RawMessage>;
}

export interface RawSubscriber {
  readonly request: RawMessage;
  /** Sends the notification, or its headers with another type and body; resolves with its answer. */
  notify(name: Notification, other?: {readonly contentType: string; readonly body: string}): Promise<RawMessage>;
}

export async function rawFocus({core, ...ids}: RawFocusOptions): Promise<RawFocus> {
  const server = core.uri.replace(/^sip:|;.*$/g, '');
  const step = /;step=\d+/.exec(core.terminatingRoute)?.[0] ?? '';
  const sip = await rawSip({server, transport: 'tcp', tag: `focus-${token()}`});
  const listening = await listeningPeer();
  const {address, port} = {address: sip.address, port: /:(\d+)\//.exec(listening.uri)?.[1] ?? ''};

  function filled(name: Invitation, callId: string): FilledFixture {
    const pf = `${server}${step}`;
    return groupFixture(name, {
      peer: address,
      pf,
      branch: token(),
      callId,
      ...ids,
      msrpPort: port,
      msrpSession: 'peer',
    });
  }

  async function invite(name: Invitation, bodyOf = (body: string) => body): Promise<RawCall> {
    const callId = `invite-${token()}`;
    const {head, body} = filled(name, callId);
    sip.send(head, bodyOf(body.toString()));
    const ok = await sip.next('SIP/2.0 200');
    // Who answers may write the names of headers as they came.
    const either = (name: string, short: string): string => ok.header(name) || ok.header(short);
    const dialog = dialogOf(ok, {local: either('From', 'f'), remote: either('To', 't'), callId});
    const cseq = Number.parseInt(ok.header('CSeq'), 10);
    sip.send(inDialog(dialog, 'ACK', cseq, address));
    const answer = ok.body.toString();
    const path = /^a=path:(\S+)/m.exec(answer)?.[1] ?? '';
    const isPassive = /^a=setup:passive/m.test(answer);
    const msrp = isPassive ? await MsrpPeer.to(path) : await listening.accepted();
    const heard: RawFrame[] = [];
    msrp.onSend = (frame) => {
      if (frame.body !== undefined) heard.push(frame);
      return frame.headers['failure-report'] === 'no' ? undefined : answerText(frame, '200 OK');
    };
    const send = async (more: {readonly range: string; readonly type?: string; readonly body?: string}) => {
      const id = token();
      msrp.write(sendText({id, to: path, from: listening.uri, ...more}));
      await msrp.until(() => msrp.frames.some((frame) => frame.id === id), `the answer to ${id}`);
      return msrp.frames.find((frame) => frame.id === id)?.what ?? '';
    };
    if (isPassive) await send({range: '1-0/0'});
    return {
      ok,
      msrp,
      heard,
      async say(type, text) {
        const octets = Buffer.from(text).toString('latin1');
        return send({range: `1-${octets.length}/${octets.length}`, type, body: octets});
      },
      async bye(...headerLines) {
        sip.send([inDialog(dialog, 'BYE', cseq + 1, address), ...headerLines].join('\n'));
        return answerTo('BYE');
      },
    };
  }

  async function subscribed(seconds?: number): Promise<RawSubscriber> {
    const request = await sip.next('SUBSCRIBE');
    // The end of an earlier one.
    if (request.header('To').includes(';tag=')) {
      sip.answer(request, '200 OK', ['Expires: 0']);
      return subscribed();
    }

    const contact = `Contact: <sip:focus@${address};transport=tcp>;isfocus`;
    sip.answer(request, '200 OK', [contact, `Expires: ${seconds ?? (request.header('Expires') || '3600')}`]);
    const callId = request.header('Call-ID');
    const local = `${request.header('To')};tag=${sip.tag}`;
    const dialog = dialogOf(request, {local, remote: request.header('From'), callId});
    let cseq = 0;
    return {
      request,
      async notify(name, other) {
        cseq++;
        const {target, remote: to, routes} = dialog;
        const values = {peer: address, branch: token(), target, from: local, to, callId, cseq, ...ids};
        const {head, body} = groupFixture(name, values);
        const [start = '', ...lines] = head.split('\r\n');
        const headers = lines.map((line) =>
          other !== undefined && line.startsWith('c:') ? `c: ${other.contentType}` : line,
        );
        sip.send([start, ...routes, ...headers].join('\n'), other?.body ?? body);
        return answerTo('NOTIFY');
      },
    };
  }

  async function answerTo(method: string): Promise<RawMessage> {
    const answer = await sip.next('SIP/2.0');
    return answer.header('CSeq').endsWith(method) && !answer.startLine.includes(' 100 ') ? answer : answerTo(method);
  }

  return {
    sip,
    invite,
    async inviteInVain(name, bodyOf = (body) => body) {
      const {head, body} = filled(name, `in-vain-${token()}`);
      sip.send(head, bodyOf(body.toString()));
      return answerTo('INVITE');
    },
    subscribed,
    async close() {
      listening.close();
      await sip.close();
    },
  };
}

/** A deployment with a scripted focus, which is closed with the test. */
export async function withRawFocus(
  t: ExecutionContext,
  options: DeploymentOptions = {},
): Promise<{readonly pf: Deployment; readonly focus: RawFocus}> {
  t.timeout(60_000);
  const pf = await deployment(t, options);
  const focus = await rawFocus({core: pf.core, ...ids});
  t.teardown(async () => focus.close());
  return {pf, focus};
}

/** The same, and the focus has invited Bob and told everybody who is there; `seconds` as `subscribed` takes them. */
export async function withRawGroup(t: ExecutionContext, options: DeploymentOptions = {}, seconds?: number) {
  const {pf, focus} = await withRawFocus(t, options);
  const call = await focus.invite('invite-list-first');
  const subscriber = await focus.subscribed(seconds);
  await subscriber.notify('notify-full');
  return {pf, focus, call, subscriber};
}

interface RawDialog {
  readonly local: string;
  readonly remote: string;
  readonly callId: string;
  readonly target: string;
  readonly routes: readonly string[];
}

/** A dialog that the peer's message began, his response or his request. */
function dialogOf(message: RawMessage, ids: Pick<RawDialog, 'local' | 'remote' | 'callId'>): RawDialog {
  const recorded = message.headers('Record-Route').flatMap((value) => value.split(/,\s*(?=<)/));
  const inOrder = message.startLine.startsWith('SIP/2.0') ? recorded.reverse() : recorded;
  const target = /<([^>]+)>/.exec(message.header('Contact'))?.[1] ?? '';
  return {...ids, target, routes: inOrder.map((value) => `Route: ${value}`)};
}

function inDialog(
  {local, remote, callId, target, routes}: RawDialog,
  method: string,
  cseq: number,
  peer: string,
): string {
  return [
    `${method} ${target} SIP/2.0`,
    `Via: SIP/2.0/TCP ${peer};branch=z9hG4bK${token()}`,
    ...routes,
    'Max-Forwards: 70',
    `From: ${local}`,
    `To: ${remote}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
  ].join('\n');
}

function token(): string {
  return randomBytes(6).toString('hex');
}
