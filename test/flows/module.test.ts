/** The PF as a module of an application that has its own `srf` (README). */
import {randomUUID} from 'node:crypto';
import path from 'node:path';
import test from 'ava';
import Srf from 'drachtio-srf';
import {definePlugin, participatingFunction, z} from '../../lib/index.ts';
import {silentLog} from '../../lib/ports/log.ts';
import {startCore} from '../../lib/phone/core.ts';
import {startPhone} from '../../lib/phone/phone.ts';
import {aliceAddress, bobAddress} from '../support/deployment.ts';
import {rawSip} from '../support/raw-sip.ts';
import {sipServer} from '../support/sip-server.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

interface Request {
  readonly method: string;
  readonly uri: string;
}
interface Response {
  send(status: number, options?: {headers: Record<string, string>}): void;
}
type Handler = (request: Request, response: Response, next: () => void) => void;
interface Application {
  use(method: string, handler: Handler): void;
  invite(handler: Handler): void;
  message(handler: Handler): void;
  on(event: 'connect' | 'error', listener: (error?: unknown) => void): void;
  connect(address: object): void;
  disconnect(): void;
}

test.serial(
  "8.3.2.1: in an application the PF serves its users' CPM requests, and every other one reaches the handlers before and after it",
  async (t) => {
    const [server, folder, core] = [await sipServer(), await temporaryFolder(t), await startCore({cases: ['term']})];
    t.teardown(async () => server.stop());
    t.teardown(async () => core.close());
    core.pf = `sip:${server.sip};transport=tcp`;
    const srf = new Srf() as unknown as Application;
    t.teardown(() => {
      srf.disconnect();
    });
    const [before, after]: [string[], string[]] = [[], []];
    srf.use('invite', ({method}, _response, next) => {
      before.push(method);
      next();
    });
    const told: string[] = [];
    const counting = definePlugin({
      name: 'counting',
      options: z.strictObject({from: z.int()}),
      hooks: ({from}) => ({
        afterDefer: ({servedUser}) => told.push(`${from + told.length} ${servedUser}`),
        close: () => told.push('closed'),
      }),
    });
    const connected = new Promise<void>((resolve) => {
      srf.on('connect', () => {
        resolve();
      });
    });
    srf.connect(server.admin);
    const working = participatingFunction(
      srf,
      {
        node: {name: 'module', runtimeDirectory: path.join(folder, 'run'), stateDirectory: path.join(folder, 'state')},
        sip: {homeDomain: 'home.example', outboundProxy: core.uri, trustedPeers: ['127.0.0.1']},
        served: {numberPrefixes: ['+1555']},
        relay: {access: {listenPort: 0}, core: {listenPort: 0}},
        plugins: [{use: counting, options: {from: 10}}],
      },
      silentLog,
    );
    srf.invite(({method}, response) => {
      after.push(method);
      response.send(486, {headers: {'X-Application': 'after'}});
    });
    srf.message(({method}, response) => {
      after.push(method);
      response.send(202);
    });
    await connected;
    const app = await working;

    const alice = await startPhone({core: core.uri, address: aliceAddress});
    const bob = await startPhone({core: core.uri, address: bobAddress});
    t.teardown(async () => Promise.all([alice.close(), bob.close()]));
    await alice.register();
    const chat = await alice.startChat(bobAddress);
    t.true((await chat.sendText('kept by the module')).accepted);
    t.deepEqual([before, after], [['INVITE'], []]);
    t.like(await app.ledger(), {accepted: 1, pending: 1});
    await bob.register();
    t.is((await bob.messages.first()).text, 'kept by the module');

    const peer = await rawSip({server: server.sip, transport: 'tcp'});
    t.teardown(async () => peer.close());
    const ask = async (method: string): Promise<string> => {
      peer.send(
        [
          `${method} sip:eve@elsewhere.example SIP/2.0`,
          `Via: SIP/2.0/TCP ${peer.address};branch=z9hG4bK${randomUUID()}`,
          'Max-Forwards: 70',
          `From: <${aliceAddress}>;tag=${randomUUID()}`,
          'To: <sip:eve@elsewhere.example>',
          `Call-ID: ${randomUUID()}`,
          `CSeq: 1 ${method}`,
          `Contact: <sip:alice@${peer.address}>`,
        ].join('\n'),
      );
      for (;;) {
        const {startLine} = await peer.next('SIP/2.0');
        if (!startLine.startsWith('SIP/2.0 1')) return startLine.slice(8, 11);
      }
    };

    t.is(await ask('INVITE'), '486');
    t.is(await ask('MESSAGE'), '202');
    t.deepEqual(after, ['INVITE', 'MESSAGE']);

    t.deepEqual(told, ['10 tel:+15550102']);
    await app.drain();
    t.is(told.at(-1), 'closed');
    t.is((await chat.ended).by, 'peer');
    t.is(await ask('MESSAGE'), '202');
  },
);
