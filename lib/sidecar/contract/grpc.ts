/** The contract between a PF and a relay process as gRPC wants it: its `.proto`, credentials, streams. */
import {existsSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {credentials, loadPackageDefinition, ServerCredentials, type ChannelCredentials} from '@grpc/grpc-js';
import type {
  Client,
  ClientDuplexStream,
  ServerDuplexStream,
  ServiceClientConstructor,
  ServiceDefinition,
} from '@grpc/grpc-js';
import {loadSync} from '@grpc/proto-loader';
import type {Commands, Events} from './messages.ts';

export type ServerStream = ServerDuplexStream<Commands, Events>;
export type ClientStream = ClientDuplexStream<Commands, Events>;

export interface RelayClient extends Client {
  control(): ClientStream;
  status(
    request: object,
    options: {readonly deadline: number},
    done: (error: Error | null, reply?: {readonly counters: Readonly<Record<string, number>>}) => void,
  ): void;
}

/** PEM files for mutual TLS: both ends show a certificate of the same authority. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Both ends: a batch may be a little larger than `batchBytes`; a dead peer is noticed. */
export const channelOptions = {
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.max_send_message_length': 16 * 1024 * 1024,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.http2.max_pings_without_data': 0,
  'grpc.http2.min_ping_interval_without_data_ms': 5000,
};

export function serverCredentials(tls: TlsFiles | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = {private_key: readFileSync(tls.key), cert_chain: readFileSync(tls.cert)};
  return ServerCredentials.createSsl(readFileSync(tls.ca), [pair], true);
}

export function clientCredentials(tls: TlsFiles | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  return credentials.createSsl(readFileSync(tls.ca), readFileSync(tls.key), readFileSync(tls.cert));
}

let loaded: ServiceClientConstructor | undefined;

/** The service of the `.proto`, read when first asked for: from this file's folder's parent, or from `lib` beside `dist`, where it stays. */
function service(): ServiceClientConstructor {
  if (loaded) return loaded;
  const places = ['../contract.proto', '../../../../lib/sidecar/contract.proto'];
  const files = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const file = files.find((each) => existsSync(each)) ?? 'contract.proto';
  const definition = loadSync(file, {longs: Number, enums: String, defaults: true, oneofs: true});
  const root = loadPackageDefinition(definition) as unknown as {
    readonly drachtio: {readonly cpm: {readonly relay: {readonly v1: {readonly Relay: ServiceClientConstructor}}}};
  };
  loaded = root.drachtio.cpm.relay.v1.Relay;
  return loaded;
}

export function relayService(): ServiceDefinition {
  return service().service;
}

export function relayClient(control: string, tls: TlsFiles | undefined): RelayClient {
  return new (service())(control, clientCredentials(tls), channelOptions) as unknown as RelayClient;
}
