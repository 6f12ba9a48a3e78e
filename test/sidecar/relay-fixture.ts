import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createMediaPlane, type SidecarMediaPlane} from '../../lib/adapters/sidecar/media-plane.ts';
import {systemClock} from '../../lib/ports/clock.ts';
import {silentLog} from '../../lib/ports/log.ts';
import type {Leg, LegOptions, MediaPlane, OfferedMessage, RemoteMedia, Verdict} from '../../lib/ports/media-plane.ts';
import {runNode, type Child} from '../support/child.ts';
import {answerText, MsrpPeer, sendText, type RawFrame} from '../support/msrp-peer.ts';

/** A relay process and a PF's client of it. */
export interface Fixture {
  readonly plane: SidecarMediaPlane;
  readonly child: Child;
  readonly control: string;
  readonly directory: string;
  close(): Promise<void>;
}

export async function startRelay(control: string, options: object = {}): Promise<Child> {
  const child = runNode('lib/sidecar/main.ts', [JSON.stringify({control, ...options})]);
  await child.said(/"event":"listening"/);
  return child;
}

export function connectPlane(control: string, owner = 'pf-1'): SidecarMediaPlane {
  return createMediaPlane({control, owner, clock: systemClock, log: silentLog, openMilliseconds: 10_000});
}

export async function startFixture(options: object = {}): Promise<Fixture> {
  const directory = mkdtempSync(path.join(tmpdir(), 'cpm-relay-'));
  const control = `unix:${path.join(directory, 'control.sock')}`;
  const child = await startRelay(control, options);
  const plane = connectPlane(control);
  return {
    plane,
    child,
    control,
    directory,
    async close() {
      await plane.close();
      child.process.kill('SIGTERM');
      await child.ended;
      rmSync(directory, {recursive: true, force: true});
    },
  };
}

/** A leg whose peer has connected, and what the PF was offered on it. */
export interface Bound {
  readonly leg: Leg;
  readonly peer: MsrpPeer;
  /** The peer's own MSRP URI. */
  readonly uri: string;
  readonly offered: OfferedMessage[];
  /** What the PF says of the next messages; `accepted` by default. */
  verdict: (message: OfferedMessage) => Promise<Verdict> | Verdict;
  readonly ends: string[];
  /** A SEND of the peer, as text. */
  readonly send: (frame: Partial<Parameters<typeof sendText>[0]> & {readonly id: string}) => void;
}

let count = 0;

export async function boundLeg(
  plane: Pick<MediaPlane, 'openLeg'>,
  options: Partial<LegOptions> = {},
  remote: Partial<RemoteMedia> = {},
): Promise<Bound> {
  const leg = await plane.openLeg({side: 'access', mode: 'hold', label: {}, maxMessageBytes: 10_000_000, ...options});
  count += 1;
  const uri = `msrp://127.0.0.1:9/peer${count};tcp`;
  const offered: OfferedMessage[] = [];
  const ends: string[] = [];
  const peer = await MsrpPeer.to(leg.uri);
  const bound: Bound = {
    leg,
    peer,
    uri,
    offered,
    verdict: () => 'accepted',
    ends,
    send: (frame) => {
      peer.write(sendText({to: leg.uri, from: uri, ...frame}));
    },
  };
  leg.onMessage = async (message) => {
    offered.push(message);
    return bound.verdict(message);
  };
  leg.onEnd = (end) => ends.push(end);
  leg.connect({path: [uri], connection: 'passive', acceptTypes: ['*'], maxSize: undefined, ...remote});
  bound.send({id: 'bind0001', range: '1-0/0'});
  await peer.next('200');
  await leg.bound(10_000);
  return bound;
}

/** Answers each SEND with 200, and gathers whole messages. */
export function takesAll(peer: MsrpPeer, status: string | number = '200 OK'): void {
  peer.onSend = (frame) => answerText(frame, status);
}

/** Bodies of the messages in the SENDs of a peer, put together by Message-ID, in order of their first chunk. */
export function messagesIn(frames: readonly RawFrame[]): readonly string[] {
  const bodies = new Map<string, string>();
  for (const frame of frames) {
    if (frame.what !== 'SEND' || frame.body === undefined) continue;
    const id = frame.headers['message-id'] ?? '';
    bodies.set(id, (bodies.get(id) ?? '') + frame.body);
  }
  return [...bodies.values()];
}

/** Resolves when the relay has carried out every command given so far. */
export async function carriedOut(plane: SidecarMediaPlane): Promise<void> {
  const leg = await plane.openLeg({side: 'access', mode: 'refuse', label: {}, maxMessageBytes: 1});
  await leg.release();
}

/** Two legs that relay, the gate open. */
export async function relayedPair(
  plane: SidecarMediaPlane,
  options: Partial<LegOptions> = {},
): Promise<readonly [Bound, Bound]> {
  const one = await boundLeg(plane, options);
  const two = await boundLeg(plane, {side: 'core', ...options});
  const pairing = await one.leg.pair(two.leg);
  pairing.open();
  await carriedOut(plane);
  return [one, two];
}

/** Keeps the PF from deciding: `offered` resolves with the next message, `decide` says what becomes of it. */
export function undecided(bound: Bound): {
  readonly offered: Promise<OfferedMessage>;
  readonly decide: (verdict: Verdict) => void;
} {
  let decide: (verdict: Verdict) => void = () => undefined;
  const verdict = new Promise<Verdict>((resolve) => (decide = resolve));
  const offered = new Promise<OfferedMessage>((resolve) => {
    bound.verdict = (message) => {
      resolve(message);
      return verdict;
    };
  });
  return {offered, decide};
}
