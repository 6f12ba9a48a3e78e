/** Runs one scenario on a server and compares what was seen with what the real server did when it was recorded. */
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {isDeepStrictEqual} from 'node:util';
import type {ExecutionContext} from 'ava';
import {App, Peer, type Actor} from './actors.ts';
import {differencesFile, hunksBetween, type Hunk} from './differences.ts';
import {normalise} from './normalise.ts';
import {startServer, type Server, type Wanted} from './servers.ts';

/** What a scenario plays with. Everything is closed when it ends. */
export interface Stage {
  readonly server: Server;
  /** Connects an application, which authenticates and routes these methods. */
  readonly app: (name?: string, routes?: readonly string[], tags?: string) => Promise<App>;
  /** Connects an application that says nothing yet. */
  readonly silentApp: (name: string) => Promise<App>;
  /** Takes an application that came in another way. */
  readonly enter: (actor: Actor) => void;
  readonly peer: (name: string, transport?: 'udp' | 'tcp') => Promise<Peer>;
}

/** A scenario's server and script. */
export interface Play {
  readonly wanted?: Wanted;
  readonly play: (stage: Stage) => Promise<void>;
}

interface Described {
  readonly name: string;
  /** A fact, in the form of a test title. */
  readonly title: string;
  /** It needs a server which it can configure or restart. */
  readonly ownServer?: boolean;
  /** Takes a real server's timers as they are: 32 s, 64 s, session intervals. */
  readonly slow?: boolean;
}

/** Script and server are given, or made for each run. */
export type Scenario = Described & (Play | {readonly prepare: () => Promise<Play>});

/** Methods that applications can have routed. */
export const allRoutes = ['invite', 'register', 'message', 'options', 'info', 'notify', 'subscribe', 'publish'];

/** Plays a scenario; gives its transcript, once `settled` says that nothing is missing, or after a while. */
async function transcribe(scenario: Scenario, settled: (transcript: string) => boolean): Promise<string> {
  const {wanted = {}, play} = 'prepare' in scenario ? await scenario.prepare() : scenario;
  const server = await startServer(wanted);
  const actors: Actor[] = [];
  const deadline = scenario.slow === true ? 110_000 : 15_000;
  const enter = <T extends Actor>(actor: T): T => {
    actors.push(actor);
    return actor;
  };
  const silentApp = async (name: string): Promise<App> => enter(await App.connect(name, server.adminPort, deadline));
  const stage: Stage = {
    server,
    async app(name = 'app', routes = allRoutes, tags = '') {
      const app = await silentApp(name);
      await app.authenticate(server.secret, routes, tags);
      // How it began is told by the scenarios of the admin side.
      app.texts.length = 0;
      return app;
    },
    silentApp,
    enter,
    peer: async (name, transport = 'udp') => enter(await Peer.start(name, server.sip, transport, deadline)),
  };
  const serverPort = Number(server.sip.split(':')[1]);
  const transcript = (): string => {
    const ports = new Map([[serverPort, 'server'], ...actors.flatMap((actor) => [...actor.ports])]);
    return normalise(actors, ports);
  };
  try {
    await play(stage);
    await until(() => settled(transcript()));
    return transcript();
  } catch (cause) {
    throw new Error(`${scenario.name} stopped here:\n${transcript()}`, {cause});
  } finally {
    for (const actor of actors) await actor.close();
    await server.close();
  }
}

/** Waits until it is so, for at most three seconds, and then a moment for what should not come. */
async function until(done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 60 && !done(); turn++) await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, 50));
}

const folder = 'test/fixtures/conformance';

/** Records what the server says as the fixture of a scenario, the server's version named in it. */
export async function record(scenario: Scenario, version: string): Promise<void> {
  // What nobody waits for has its time to come.
  const transcript = await transcribe(scenario, () => false);
  await mkdir(folder, {recursive: true});
  await writeFile(fixtureOf(scenario), `# ${scenario.title}\n# drachtio-server ${version}\n${transcript}`);
}

/** Holds a server to the fixture: the real one to every line, the embedded one but for the differences listed. */
export async function verify(t: ExecutionContext, scenario: Scenario, listed: readonly Hunk[]): Promise<void> {
  const {seen, expected} = await compare(scenario, listed);
  if (listed.length === 0) t.is(seen, expected);
  else t.deepEqual(hunksBetween(expected, seen), listed, `not the differences that ${differencesFile} lists`);
}

/** How a server differs from the fixture. */
export async function differencesOf(scenario: Scenario, listed: readonly Hunk[]): Promise<Hunk[]> {
  const {seen, expected} = await compare(scenario, listed);
  return hunksBetween(expected, seen);
}

async function compare(scenario: Scenario, listed: readonly Hunk[]): Promise<{seen: string; expected: string}> {
  const fixture = await readFile(fixtureOf(scenario), 'utf8');
  const expected = fixture.replace(/^(#.*\n)*/, '');
  const settled = (transcript: string): boolean => isDeepStrictEqual(hunksBetween(expected, transcript), listed);
  return {expected, seen: await transcribe(scenario, settled)};
}

export function fixtureOf({name}: Scenario): string {
  return path.join(folder, `${name}.txt`);
}

/** The version of the real server in use. */
export async function versionOf(): Promise<string> {
  const server = await startServer({});
  const app = await App.connect('version', server.adminPort, 15_000);
  const {fields} = await app.ask(['authenticate', server.secret, '']);
  await app.close();
  await server.close();
  return fields[2] ?? '';
}
