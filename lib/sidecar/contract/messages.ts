/** The contract between a PF and a relay process as types: what stands in `contract.proto`, with its names. */

interface LegCommand {
  readonly leg: number;
}
interface PairingCommand {
  readonly pairing: number;
}

/** By the name of the field in the `.proto`; exactly one is set. */
export type Command =
  | {readonly hello: {readonly owner: string; readonly epoch: string}}
  | {
      readonly openLeg: LegCommand & {
        readonly side: 'access' | 'core';
        readonly refuses: boolean;
        readonly maxMessageBytes: number;
        /** Those the peer offers; none: the side's own choice. */
        readonly transports: readonly ('tcp' | 'tls')[];
        readonly copies: boolean;
      };
    }
  | {
      readonly connect: LegCommand & {
        readonly path: readonly string[];
        readonly active: boolean;
        readonly explicitChunks: boolean;
        /** Where to connect instead of the path's first URI; '' and 0: nowhere else. */
        readonly host: string;
        readonly port: number;
        readonly fingerprints: readonly string[];
      };
    }
  | {
      readonly send: LegCommand & {
        readonly send: number;
        readonly contentType: string;
        readonly bytes: Uint8Array;
        readonly last: boolean;
      };
    }
  | {readonly verdict: LegCommand & {readonly offer: number; readonly status: number}}
  | {readonly hold: LegCommand}
  | {readonly refuse: LegCommand}
  | {readonly release: LegCommand}
  | {readonly pair: PairingCommand & LegCommand & {readonly other: number}}
  | {readonly openGate: PairingCommand}
  | {readonly unpair: PairingCommand}
  | {readonly copied: LegCommand & {readonly copy: number}}
  | {readonly flush: LegCommand};

export interface Offer extends LegCommand {
  readonly offer: number;
  readonly contentType: string;
  readonly messageId: string;
  readonly undelivered: boolean;
  /** 0: none. */
  readonly status: number;
  readonly bytes: Buffer;
  readonly last: boolean;
}

export interface Copy extends LegCommand {
  readonly copy: number;
  readonly contentType: string;
  readonly bytes: Buffer;
  readonly last: boolean;
}

export interface Opened extends LegCommand {
  readonly path: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly family: number;
  /** Of our certificate; '' where the leg is not over TLS. */
  readonly fingerprint: string;
  readonly hasAuthority: boolean;
  readonly setup: string;
  readonly cema: boolean;
}

export interface OpenFailed extends LegCommand {
  readonly why: string;
  /** The side has none of the transports that were asked for. */
  readonly noTransport: boolean;
}

export interface Welcome {
  readonly version: string;
  readonly pid: number;
}

export type Event =
  | {readonly welcome: Welcome}
  | {readonly opened: Opened}
  | {readonly openFailed: OpenFailed}
  | {readonly bound: LegCommand}
  | {readonly ended: LegCommand & {readonly why: string}}
  | {readonly offer: Offer}
  | {readonly sent: LegCommand & {readonly send: number; readonly status: number; readonly lost: boolean}}
  | {readonly paired: PairingCommand}
  | {readonly notification: LegCommand & {readonly contentType: string; readonly bytes: Buffer}}
  | {readonly copy: Copy}
  | {readonly flushed: LegCommand};

export interface Commands {
  readonly commands: readonly Command[];
}
export interface Events {
  readonly events: readonly Event[];
}

/** Octets of a message in one part, and of all parts in one batch: far below what gRPC takes in one message. */
export const partBytes = 256 * 1024;
export const batchBytes = 1024 * 1024;
