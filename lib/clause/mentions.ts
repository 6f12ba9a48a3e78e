/** A clause and rows of it, as code (`@clause CPM-CF 8.3.2.9.1.1 A4`) and test titles (`8.3.2.9.1.1 A4: …`) name them. */
export interface Mention {
  /** Without `CPM-CF`: `8.3.2.9.1.1`, `RFC 4975 §7.1.1`; empty where only rows are named. */
  readonly clause: string;
  readonly rows: readonly string[];
}

/** What stands after each `@clause` of a source. */
export function mentionsInSource(source: string): readonly Mention[] {
  return [...source.matchAll(/^[ \t/*]*@clause[ \t]+(.+)$/gm)].map(([, text = '']) =>
    mentionIn(text.replace('*/', '')),
  );
}

/** What a test title names before its first colon. */
export function mentionInTitle(title: string): Mention {
  const [head = ''] = title.split(/:(?:\s|$)/, 1);
  return mentionIn(head);
}

/** Whether a mention lies at or below what was asked for: `8.3.2.9`, `RFC 4975`, `RFC 4975 §7`, or a row. */
export function liesBelow(mention: Mention, asked: string): boolean {
  const wanted = mentionIn(asked);
  if (wanted.rows.length > 0) return wanted.rows.some((row) => mention.rows.includes(row));
  const {clause} = mention;
  return clause === wanted.clause || ['.', ' '].some((next) => clause.startsWith(wanted.clause + next));
}

/** Rows may be a range, `A1–A9`. */
function mentionIn(text: string): Mention {
  const rows: string[] = [];
  const rest = text.split(/[\s,]+/).filter((word) => {
    const range = /^([A-E])(\d{1,2})(?:[–-]\1?(\d{1,2}))?$/.exec(word);
    if (range === null) return true;
    const [, letter = '', first = '', last = first] = range;
    for (let number = Number(first); number <= Number(last); number++) rows.push(`${letter}${number}`);
    return false;
  });
  return {clause: rest.filter((word) => word !== '' && word !== 'CPM-CF').join(' '), rows};
}
