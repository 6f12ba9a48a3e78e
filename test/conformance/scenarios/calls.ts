/** Calls as scenarios begin with them. */
import type {App, Handed, Peer, PeerDialog} from '../actors.ts';
import type {Stage} from '../runner.ts';
import type {RawMessage} from '../../support/raw-sip.ts';

export const sdp =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n';
export const isSdp = {'Content-Type': 'application/sdp'};

/** A call that alice has placed and the application has answered. */
export interface Answered {
  readonly app: App;
  readonly alice: Peer;
  readonly invite: RawMessage;
  readonly handed: Handed;
  readonly ok: RawMessage;
  readonly dialog: PeerDialog;
  readonly dialogId: string;
}

export async function answered(
  stage: Stage,
  {
    headers = {},
    ok: okLines = [],
    transport = 'udp',
  }: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly ok?: readonly string[];
    readonly transport?: 'udp' | 'tcp';
  } = {},
): Promise<Answered> {
  const app = await stage.app();
  const alice = await stage.peer('alice', transport);
  const invite = alice.request('INVITE', {headers: {...isSdp, ...headers}, body: sdp});
  const handed = await app.sip('INVITE');
  await app.respond(handed, '200 OK', okLines, sdp);
  const ok = await alice.next('SIP/2.0 200');
  const dialog = alice.dialogOf(invite, ok);
  alice.within(dialog, 'ACK');
  const {dialogId} = await app.sip('ACK');
  return {app, alice, invite, handed, ok, dialog, dialogId};
}

/** A call that the application has placed and bob has answered. */
export interface Placed {
  readonly app: App;
  readonly bob: Peer;
  readonly invite: RawMessage;
  /** As bob knows it. */
  readonly dialog: PeerDialog;
  readonly dialogId: string;
}

export async function placed(
  stage: Stage,
  {
    lines = [],
    ok = [],
    transport = 'udp',
  }: {readonly lines?: readonly string[]; readonly ok?: readonly string[]; readonly transport?: 'udp' | 'tcp'} = {},
): Promise<Placed> {
  const app = await stage.app();
  const bob = await stage.peer('bob', transport);
  const {invite} = await ring(app, bob, lines);
  bob.answer(invite, '200 OK', [`Contact: ${bob.contact}`, 'Content-Type: application/sdp', ...ok], sdp);
  const {dialogId} = await app.sip('SIP/2.0 200');
  await app.send('ACK sip:placeholder', [], '', {dialogId});
  await bob.next('ACK');
  return {app, bob, invite, dialog: bob.calledDialog(invite), dialogId};
}

/** A call that the application has placed; bob rings. */
export async function ring(
  app: App,
  bob: Peer,
  lines: readonly string[] = [],
): Promise<{readonly invite: RawMessage; readonly transactionId: string; readonly ringing: Handed}> {
  const uri = bob.contact.slice(1, -1);
  const {transactionId} = await app.send(`INVITE ${uri}`, lines, sdp);
  const invite = await bob.next('INVITE');
  bob.answer(invite, '180 Ringing', [`Contact: ${bob.contact}`]);
  return {invite, transactionId, ringing: await app.sip('SIP/2.0 180')};
}

/** The peer ends a call. */
export async function peerEnds(app: App, peer: Peer, dialog: PeerDialog): Promise<void> {
  peer.within(dialog, 'BYE');
  await app.respond(await app.sip('BYE'), '200 OK');
  await peer.next('SIP/2.0 200');
}

/** The application ends a call. */
export async function appEnds(app: App, peer: Peer, dialogId: string): Promise<void> {
  await app.send('BYE sip:placeholder', [], '', {dialogId});
  peer.answer(await peer.next('BYE'), '200 OK');
  await app.sip('SIP/2.0 200');
}
