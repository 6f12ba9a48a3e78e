import {spawnSync} from 'node:child_process';
import path from 'node:path';
import test from 'ava';
import {parseMsrpUri} from '../../../lib/codecs/msrp/uri.ts';
import {mediaOf} from '../../../lib/phone/session-description.ts';
import {bobAddress, deployment} from '../../support/deployment.ts';
import {temporaryFolder} from '../../support/temporary-folder.ts';
import {startProgram, testWith} from './programs.ts';

// Opening the loopback interface tells whether capturing is allowed here.
const allowed = spawnSync('dumpcap', ['-L', '-i', 'lo']).status === 0;
const withTshark = allowed
  ? testWith(['tshark', 'dumpcap'])
  : (title: string, run: Parameters<ReturnType<typeof testWith>>[1]) => {
      test.skip(`${title} (skipped: dumpcap is not installed, or may not capture on lo)`, run);
    };

withTshark('RFC 4975 §9: tshark reads our SIP and MSRP, deferred and live, without a malformed frame', async (t) => {
  const file = path.join(await temporaryFolder(t), 'chat.pcapng');
  const pf = await deployment(t);
  const capture = startProgram(t, 'dumpcap', ['-i', 'lo', '-f', 'tcp', '-s', '0', '-w', file]);
  await capture.printed(/^File: /m);

  const [alice, bob] = [await pf.alice(), await pf.bob()];
  await alice.register();
  const away = await alice.startChat(bobAddress);
  for (const text of ['hello', 'Grüße – こんにちは', 'x'.repeat(200 * 1024)]) await away.sendText(text);
  await away.end();
  await bob.register();
  await bob.messages.atLeast(3);
  await (
    await bob.sessions.first(({deferred}) => deferred)
  ).ended;
  const live = await alice.startChat(bobAddress);
  await live.sendText('live', {successReport: true});
  await live.msrp.reports.first();
  await alice.notifications.atLeast(8);
  await live.end();
  await capture.stop();

  const paths = [...alice.sessions.items, ...bob.sessions.items].flatMap(({call, msrp}) => [
    ...mediaOf(call.remoteSdp).path,
    ...msrp.path,
  ]);
  const msrpPorts = [...new Set(paths.map((uri) => parseMsrpUri(uri).port))];
  const sipPorts = [pf.core.pf ?? '', pf.core.uri].map((uri) => /:(\d+)(?:;|$)/.exec(uri)?.[1]);
  const decodeAs = [
    ...msrpPorts.map((port) => `tcp.port==${port ?? 0},msrp`),
    ...sipPorts.map((port) => `tcp.port==${port ?? 0},sip`),
  ].flatMap((rule) => ['-d', rule]);
  const ours = `tcp.port in {${[...msrpPorts, ...sipPorts].join(', ')}}`;
  const read = (filter: string): readonly string[] => {
    const {status, stdout, stderr} = spawnSync('tshark', ['-r', file, ...decodeAs, '-Y', filter], {encoding: 'utf8'});
    t.is(status, 0, stderr);
    return stdout.split('\n').filter(Boolean);
  };

  t.deepEqual(read(`${ours} && (_ws.malformed || _ws.expert.severity >= 0x00800000)`), []);
  // It looks at one MSRP frame of each TCP segment, and ours share segments.
  t.true(read(`${ours} && msrp.method == "SEND"`).length > 20);
  t.true(read(`${ours} && msrp.status.code == 200`).length > 20);
  t.true(read(`${ours} && sip.Method == "INVITE" && sdp.media.media == "message"`).length > 2);
});
