/** A process that is the core and all phones of a storm: one SIP port and one MSRP port for everybody. */
import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import {createServer, type AddressInfo} from 'node:net';
import {createRequest, formatSipMessage} from '../../lib/codecs/sip-message.ts';
import {formatFeatures} from '../../lib/codecs/sip-headers/features.ts';
import {parseNameAddr} from '../../lib/codecs/sip-headers/name-addr.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {describe, usualMedia} from '../../lib/phone/session-description.ts';
import {createUserAgent, type UserAgent} from '../../lib/phone/sip-user-agent.ts';
import {Receiver} from '../msrp/receiver.ts';
import {ownSeconds} from '../cpu.ts';
import {serve} from '../worker.ts';
import {member} from './storm-messages.ts';

/** REGISTERs without an answer at a time. */
const registersUnderWay = 64;

let userAgent: UserAgent | undefined;
let pf = '';
let received = 0;
let wanted: {readonly count: number; readonly done: () => void} | undefined;

/** Starts what answers for everybody; gives its SIP URI. */
async function open(): Promise<string> {
  const server = createServer((socket) => {
    let before = 0;
    const receiver = new Receiver(socket, () => {
      received += receiver.received - before;
      before = receiver.received;
      if (wanted !== undefined && received >= wanted.count) wanted.done();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  userAgent = await createUserAgent({
    identity: 'sip:core@home.example',
    user: 'core',
    contactParameters: '',
    userAgent: 'bench',
    proxy: undefined,
    protocol: 'tcp',
    timers: {t1Ms: 250},
    onCall: (incoming) => {
      const own = `msrp://127.0.0.1:${port}/${randomUUID()};tcp`;
      incoming.accept(describe(usualMedia, {path: [own], port, setup: 'passive'})).catch(() => undefined);
    },
    onRequest: () => 200,
  });
  return `${parseNameAddr(userAgent.contact).uri};transport=tcp`;
}

function aim(uri: string): void {
  pf = uri;
}

/** Says of so many users that they are there, all at once; resolves with the messages a second that they then got, `each` of them so many. */
async function storm({first, count, each}: {readonly first: number; readonly count: number; readonly each: number}) {
  const all = new Promise<void>((resolve) => {
    wanted = {count: received + count * each, done: resolve};
  });
  const begin = performance.now();
  let next = first;
  const some = async (): Promise<void> => {
    while (next < first + count) {
      next += 1;
      await tell(next - 1);
    }
  };
  await Promise.all(Array.from({length: registersUnderWay}, some));
  await all;
  return (count * each) / ((performance.now() - begin) / 1000);
}

/** The core's word that a user has registered a device. */
async function tell(index: number): Promise<void> {
  const features = formatFeatures({icsi: ICSI.session, instance: `<urn:uuid:${randomUUID()}>`});
  const register = createRequest('REGISTER', 'sip:home.example', [
    ['From', `<${member(index)}>;tag=1`],
    ['To', `<${member(index)}>`],
    ['Call-ID', randomUUID()],
    ['CSeq', '1 REGISTER'],
    ['Contact', `${userAgent?.contact ?? ''}${features}`],
    ['Expires', '3600'],
  ]);
  const headers = [
    ['To', `<${member(index)}>`],
    ['Expires', '3600'],
    ['Content-Type', 'message/sip'],
  ] as const;
  const response = await userAgent?.request('REGISTER', pf, headers, formatSipMessage(register));
  if (response?.status !== 200) throw new Error(`a registration was answered ${response?.status ?? 'by nobody'}`);
}

const services = {open, aim, storm, cpu: ownSeconds};
export type CrowdServices = typeof services;
serve(services);
