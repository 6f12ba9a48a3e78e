import type {Config} from './config/load.ts';
import {connectServer, useServer, type SipServer} from './adapters/drachtio/connection.ts';
import {listenForServers, type SipListener} from './adapters/drachtio/listener.ts';
import {createSip, type DrachtioSip, type DrachtioSipOptions} from './adapters/drachtio/sip.ts';
import {ensureEmbeddedServer, type EmbeddedServerProcess} from './adapters/drachtio/embedded-server-process.ts';
import {watchEventLoop} from './adapters/event-loop.ts';
import {openPeers} from './adapters/http/peers.ts';
import {openStore} from './adapters/open-store.ts';
import {openMediaPlane} from './adapters/sidecar/open-media-plane.ts';
import {readCertificate} from './certificate-files.ts';
import {noPlugins, openPlugins, type LoadedPlugin, type PluginHost} from './hooks/host.ts';
import {observedStore} from './hooks/observed-store.ts';
import type {App, PartState} from './ports/app.ts';
import {policyOf, servedRulesOf, trustOf} from './policy.ts';
import {atMost, systemClock, type Clock} from './ports/clock.ts';
import {randomIds, type Ids} from './ports/ids.ts';
import {systemRandom, type Random} from './ports/random.ts';
import type {Log} from './ports/log.ts';
import type {MediaPlane} from './ports/media-plane.ts';
import {alone, type Peers} from './ports/peers.ts';
import type {SipHandlers} from './ports/sip.ts';
import type {Store} from './ports/store.ts';
import type {Context, Policy} from './procedures/context.ts';
import {createDispatch} from './procedures/dispatch.ts';
import {createGroups} from './procedures/group/groups.ts';
import {createOverload} from './procedures/overload.ts';
import {createOperator} from './procedures/operator.ts';
import {createRecorder} from './procedures/storage/recorder.ts';
import {createServedUsers, type ServedRules} from './procedures/registration/served-users.ts';
import {byeToAll} from './procedures/terminating/bye.ts';
import {createChatSessions} from './procedures/terminating/chat-sessions.ts';
import {createDeliveries} from './procedures/terminating/deliveries.ts';
import {deliverDeferred} from './procedures/terminating/deferred-one-to-one.ts';
import {startSweep} from './procedures/terminating/sweep.ts';
import {takeOver} from './procedures/take-over.ts';

/** The parts that a PF is made of, already open. */
export interface Parts {
  readonly sip: DrachtioSip;
  readonly media: MediaPlane;
  readonly store: Store;
  readonly policy: Policy;
  readonly rules: ServedRules;
  readonly log: Log;
  /** How long sessions may take to end when the PF is drained. */
  readonly drainMilliseconds: number;
  /** The SIP server, where it is a process of our own. */
  readonly own?: EmbeddedServerProcess;
  /** Other nodes on the same store; none where it is left out. */
  readonly peers?: Peers;
  /** The operator's; none where it is left out. */
  readonly plugins?: PluginHost;
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly random?: Random;
}

const connectMilliseconds = 3000;
/** After the loss of one of several SIP servers all that it had under way has failed. */
const lossMilliseconds = 1000;
/** What ending the sessions may take at the end of a drain, on top of a second drain time: a BYE has its answer by then, or will have none. */
const farewellMilliseconds = 5000;

/** A PF that takes a new configuration while it runs. */
export interface ReloadableApp extends App {
  /** Goes on with the policies and the served users of this configuration. */
  reload(config: Config): void;
}

/** A PF whose handlers wait to be given the network's requests. */
export interface CpmFunction {
  readonly handlers: SipHandlers;
  /** Begins its own work: what an earlier life left behind is ended, deliveries start (docs/acknowledgement.md). */
  readonly begin: () => ReloadableApp;
}

/** Puts the procedures between the parts. */
export function createFunction(parts: Parts): CpmFunction {
  const {sip, media, policy, rules, log, plugins = noPlugins, peers = alone()} = parts;
  const {clock = systemClock, ids = randomIds, random = systemRandom} = parts;
  const {hooks} = plugins;
  const store = observedStore(parts.store, hooks, clock);
  const sessions = createChatSessions();
  const overload = createOverload({policy, sessions, eventLoopDelay: watchEventLoop(), clock, log});
  const context: Context = {
    sip,
    media,
    store,
    clock,
    ids,
    random,
    log,
    policy,
    users: createServedUsers({
      ...{rules, store, clock, log, hooks},
      onJoin: async (other, servedUser) => context.groups.follow(other, servedUser),
    }),
    sessions,
    groups: createGroups(() => policy.concurrentDeliveries),
    overload,
    hooks,
    recorder: createRecorder({store, clock, log}),
    deliveries: createDeliveries(
      () => context,
      async (...work) => deliverDeferred(context, ...work),
    ),
    peers,
    dialogs: store.dialogRecords,
  };

  function begin(): ReloadableApp {
    const operator = createOperator(
      context,
      plugins.retained.map(({plugin, what}) => `${plugin}: ${what}`),
    );
    const sweep = startSweep(context);
    const pause = async (milliseconds: number): Promise<void> =>
      new Promise((resolve) => {
        clock.after(milliseconds, resolve);
      });
    const restart = takeOver(context);
    peers.onGiveWay = async (request) => context.deliveries.giveWay(request);
    sip.onConnection((connected) => {
      log.info({connected}, connected ? 'the SIP server is there' : 'the SIP server is away');
    });
    sip.onServer((_, connected) => {
      // What was under way on a lost one has failed within a moment: another one takes it, before the retry would come.
      if (connected) restart('start');
      else
        clock.after(lossMilliseconds, () => {
          restart('start');
        });
    });
    store.onAvailability((available) => {
      log.info({available}, available ? 'the store is back' : 'the store is away');
      restart('store-back');
    });
    restart('start');
    let drained: Promise<void> | undefined;
    return {
      ready: () => ({
        sip: partState(sip.connected),
        media: partState(media.available),
        store: partState(store.available),
      }),
      relays: async () => media.counts(),
      ledger: async () => (store.available ? store.deferredQueue.ledger() : undefined),
      load: () => overload.report(),
      deliveries: () => context.deliveries.report(),
      operator,
      reload(config) {
        Object.assign(policy, policyOf(config));
        context.users.follow(servedRulesOf(config));
      },
      async drain() {
        overload.drain();
        drained ??= (async () => {
          sweep.stop();
          // Sessions that run may end by themselves for a while, then they are ended.
          const quiet = Promise.all([context.deliveries.drain(), sessions.empty()]);
          await Promise.race([quiet, pause(parts.drainMilliseconds)]);
          await Promise.race([byeToAll(context), pause(parts.drainMilliseconds + farewellMilliseconds)]);
          overload.stop();
          await context.recorder.close();
          await sip.close();
          await Promise.all([media.close(), parts.own?.stop()]);
          await plugins.close();
          await peers.close();
          await store.close();
        })();
        return drained;
      },
    };
  }

  return {handlers: createDispatch(context), begin};
}

/** Opens every part that a configuration names, starting processes of our own where it names none. */
export async function openParts(config: Config, log: Log, loaded: readonly LoadedPlugin[] = []): Promise<Parts> {
  const clock = systemClock;
  const plugins = await openPlugins(loaded, {...config.hooks, clock, log});
  const {drachtio, embedded} = config.sip;
  const {runtimeDirectory} = config.node;
  // At a time: they are processes, as a rule. Where one cannot be had the others are still waited for, so that none is left half begun.
  const opening = [
    openStore(config.store, {clock, node: config.node.name}),
    peersOf(config, clock),
    openMediaPlane(config, {clock, log}),
    drachtio.length > 0
      ? Promise.resolve(undefined)
      : ensureEmbeddedServer({...embedded, runtimeDirectory, clock, ids: randomIds, log}),
  ] as const;
  await Promise.allSettled(opening);
  const [store, peers, media, own] = await Promise.all(opening);
  const addresses = own === undefined ? drachtio : [own.address];
  const servers = addresses.map((address) => connectServer(address, {clock, log}));
  const listener = await listenerFor(config, servers, log);
  const sip = createSip({...sipOptions(config), servers, listener, clock, log});
  return {sip, media, store, peers, plugins, ...fromConfig(config), log, clock, ...(own === undefined ? {} : {own})};
}

/** Where drachtio servers connect to us, where they are to. */
async function listenerFor(
  {sip: {listen}}: Config,
  servers: readonly SipServer[],
  log: Log,
): Promise<SipListener | undefined> {
  const {host, port, secret} = listen;
  if (port === undefined || secret === undefined) return undefined;
  return listenForServers({host, port, secret, allows: trustOf(listen.servers), servers, clock: systemClock, log});
}

/** A file is one node's own; on MongoDB there may be others. */
async function peersOf({node, store, peers}: Config, clock: Clock): Promise<Peers> {
  if (store.kind === 'embedded') return alone();
  const {listenHost: host, listenPort: port, advertisedHost} = peers;
  const {certificateFile, keyFile, authorityFile} = peers.tls;
  const own = certificateFile && keyFile ? readCertificate({certificateFile, keyFile, authorityFile}) : undefined;
  const tls = own?.ca === undefined ? undefined : {...own, ca: own.ca};
  return openPeers({node: node.name, host, port, advertisedHost, tls, clock});
}

/** The PF on parts that are open: requests that are not for it go on along their Route. */
export async function serveNetwork(parts: Parts): Promise<ReloadableApp> {
  const {handlers, begin} = createFunction(parts);
  await parts.sip.attach(handlers, {fallback: 'proxy'});
  await connected(parts);
  return begin();
}

/**
 * The PF as a module of an application that has its own `srf`: requests for CPM sessions of served users are handled here, all others go to
 * the handlers that the application registered before and after this call. Resolves when the PF works.
 */
export async function serveApplication(
  srf: unknown,
  config: Config,
  log: Log,
  load: () => Promise<readonly LoadedPlugin[]>,
): Promise<App> {
  const clock = systemClock;
  const sip = createSip({...sipOptions(config), servers: [useServer(srf, 'application', {clock, log})], clock, log});
  const opened = (async () => {
    const plugins = await openPlugins(await load(), {...config.hooks, clock, log});
    const store = await openStore(config.store, {clock, node: config.node.name});
    const peers = await peersOf(config, clock);
    const media = await openMediaPlane(config, {clock, log});
    return createFunction({sip, media, store, peers, plugins, ...fromConfig(config), clock, log});
  })();
  // Registered before anything is awaited, so that the application's own order of handlers stands.
  const attached = sip.attach(
    {
      invite: async (invite) => (await opened).handlers.invite(invite),
      request: async (request) => (await opened).handlers.request(request),
    },
    {fallback: 'next'},
  );
  const {begin} = await opened;
  await attached;
  return begin();
}

/** SIP server and relay, where they are there, answer at once; one that is away must not hold up the start, readiness tells. */
async function connected({sip, media, clock = systemClock}: Parts): Promise<void> {
  const isUp = async (up: boolean, listen: (listener: (up: boolean) => void) => void): Promise<unknown> =>
    up || new Promise(listen);
  const server = isUp(sip.connected, (listener) => {
    sip.onConnection(listener);
  });
  const relay = isUp(media.available, (listener) => {
    media.onAvailability(listener);
  });
  await atMost(clock, connectMilliseconds, Promise.all([server, relay]));
}

const partState = (up: boolean): PartState => (up ? 'up' : 'away');

const sipOptions = ({
  sip,
}: Config): Pick<DrachtioSipOptions, 'homeDomain' | 'contactHost' | 'byeAnswerMilliseconds'> => ({
  homeDomain: sip.homeDomain,
  contactHost: sip.contactHost,
  byeAnswerMilliseconds: sip.byeAnswerSeconds * 1000,
});

const fromConfig = (config: Config): Pick<Parts, 'policy' | 'rules' | 'drainMilliseconds'> => ({
  policy: policyOf(config),
  rules: servedRulesOf(config),
  drainMilliseconds: config.node.drainSeconds * 1000,
});
