/**
 * Log records: an object with few, steady keys, and a sentence. Message bodies are never given to a log; phone numbers are masked
 * at info and above by the implementation.
 */
export interface Log {
  debug(fields: LogFields, sentence: string): void;
  info(fields: LogFields, sentence: string): void;
  warn(fields: LogFields, sentence: string): void;
  error(fields: LogFields, sentence: string): void;
  /** A log whose records carry these fields, too. */
  child(fields: LogFields): Log;
}

export interface LogFields {
  readonly conversationId?: string | undefined;
  readonly contributionId?: string | undefined;
  /** Id of the MSRP leg. */
  readonly leg?: string | undefined;
  /** The rule that a decision follows: `8.3.2.9.1.1`, `RFC 4975 §7.1.1`. */
  readonly clause?: string | undefined;
  readonly error?: unknown;
  readonly [key: string]: unknown;
}

/** Says nothing. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
