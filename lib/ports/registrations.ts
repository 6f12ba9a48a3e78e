/**
 * Who can be reached where: what third-party REGISTER and the reg event taught (CPM-CF 8.3.2.9.1.2, TS 24.229 §5.4.1.7, RFC 3680).
 * Rejects with `CPM_STORE_AWAY` (503) when the store cannot be reached in time.
 */
export interface Registrations {
  /** Replaces what is known of the user, and lets each identity lead to it from now on (identities stay known after de-registration). */
  put(registration: Registration): Promise<void>;
  /** What was put last, also when it has expired since: the caller compares `expiresAt`. */
  get(servedUser: string): Promise<Registration | undefined>;
  /** Forgets the contacts; the identities stay. */
  remove(servedUser: string): Promise<void>;
  /** The key to which a canonical identity leads: the latest `put` that named it said so; undefined when it was never seen. */
  servedUserOf(identity: string): Promise<string | undefined>;
  /** Identities of one user. */
  identitiesOf(servedUser: string): Promise<readonly string[]>;
}

export interface Registration {
  readonly servedUser: string;
  /** Canonical addresses of the implicit registration set, the registered one first. */
  readonly identities: readonly string[];
  readonly contacts: readonly RegisteredContact[];
  /** The S-CSCF that told us (its Contact in the third-party REGISTER): next hop of what the PF originates. */
  readonly servingNode: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface RegisteredContact {
  /** Stable within the registration: the instance id, else reginfo's contact id, else the contact URI, else `unknown`. */
  readonly id: string;
  /** Absent when the network told only that the user is registered, not where. */
  readonly uri: string | undefined;
  /** `+sip.instance`, without quotes: `<urn:gsma:imei:…>`. */
  readonly instance: string | undefined;
  readonly publicGruu: string | undefined;
  /** Whether it said that it is a CPM client; `unknown` when the network gave no features. */
  readonly cpm: 'yes' | 'no' | 'unknown';
  readonly userAgent: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}
