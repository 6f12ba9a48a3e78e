/** How one test of a run ended. `title` is as the test states it, without AVA's prefix of the file. */
export interface TestResult {
  readonly title: string;
  readonly file: string;
  readonly status: 'ran-and-passed' | 'failed' | 'skipped' | 'todo';
}

/** A reader of AVA's TAP that is given line after line. */
export interface TapReader {
  /** Answers the result that the line states, if it states one. */
  line(line: string): TestResult | undefined;
  readonly results: readonly TestResult[];
  /** Whether the closing plan came, and named as many results as were read. */
  readonly complete: boolean;
}

/**
 * Reads AVA's TAP of a run over `files`. AVA puts the path of a test's file in front of its title, less what all paths of the run have in common;
 * in a run of one file it puts nothing.
 */
export function tapReader(files: readonly string[]): TapReader {
  const prefixes = filePrefixes(files);
  const results: TestResult[] = [];
  let planned: number | undefined;

  return {
    results,
    get complete() {
      return planned === results.length;
    },
    line(line) {
      planned ??= /^1\.\.(\d+)$/.exec(line)?.[1] === undefined ? undefined : Number(line.slice(3));
      const [, not, text, directive] = /^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO))?$/.exec(line) ?? [];
      if (text === undefined) return undefined;
      const [prefix, file] = prefixes.find(([candidate]) => text.startsWith(candidate)) ?? ['', ''];
      const status =
        directive === 'SKIP' ? 'skipped' : directive === 'TODO' ? 'todo' : not ? 'failed' : 'ran-and-passed';
      const result = {title: text.slice(prefix.length), file, status} as const;
      results.push(result);
      return result;
    },
  };
}

/** Longest first, so that `a › b › ` is found before `a › `. */
function filePrefixes(files: readonly string[]): readonly (readonly [string, string])[] {
  if (files.length === 1) return [['', files[0] ?? '']];
  const common = commonFolder(files);
  return files
    .map((file) => {
      const parts = file
        .slice(common.length)
        .replace(/\.test\.ts$/, '')
        .split('/');
      return [`${parts.join(' › ')} › `, file] as const;
    })
    .sort(([a], [b]) => b.length - a.length);
}

function commonFolder(files: readonly string[]): string {
  const [first = ''] = files;
  let end = first.lastIndexOf('/') + 1;
  while (!files.every((file) => file.startsWith(first.slice(0, end)))) end = first.lastIndexOf('/', end - 2) + 1;
  return first.slice(0, end);
}
