// Compact forms: RFC 3261 §7.3.3, and those registered since (RFC 3265, 3515, 3841, 3892, 4028, 8224).
const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ['a', 'Accept-Contact'],
  ['b', 'Referred-By'],
  ['c', 'Content-Type'],
  ['d', 'Request-Disposition'],
  ['e', 'Content-Encoding'],
  ['f', 'From'],
  ['i', 'Call-ID'],
  ['j', 'Reject-Contact'],
  ['k', 'Supported'],
  ['l', 'Content-Length'],
  ['m', 'Contact'],
  ['n', 'Identity-Info'],
  ['o', 'Event'],
  ['r', 'Refer-To'],
  ['s', 'Subject'],
  ['t', 'To'],
  ['u', 'Allow-Events'],
  ['v', 'Via'],
  ['x', 'Session-Expires'],
  ['y', 'Identity'],
]);

const COMPACT_NAMES: ReadonlyMap<string, string> = new Map(
  [...LONG_NAMES].map(([short, long]) => [long.toLowerCase(), short]),
);

/** The long name of a compact form; any other name as it stands. */
export function longName(name: string): string {
  return LONG_NAMES.get(name.toLowerCase()) ?? name;
}

/** The compact form of a header, lower case; undefined where it has none. */
export function compactName(name: string): string | undefined {
  return COMPACT_NAMES.get(name.toLowerCase());
}
