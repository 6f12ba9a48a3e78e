import type {TestResult} from './tap.ts';

/** Independent peers: on a machine where all is installed their tests run. */
const peers = ['mongodb', 'sipp', 'tshark', 'kamailio'];

/** Counts of a run for the closing line, and what a complete run may not have. */
export function judge(tests: readonly TestResult[]): {complaints: readonly string[]; counts: string} {
  const having = (status: TestResult['status']) => tests.filter((test) => test.status === status);
  const passed = having('ran-and-passed');
  const skipped = having('skipped');
  const names = ({file, title}: TestResult, peer: string): boolean => `${file} ${title}`.toLowerCase().includes(peer);

  const complaints = peers.flatMap((peer) => [
    ...skipped
      .filter((test) => names(test, peer))
      .map(({file, title}) => `skipped, with ${peer} installed: ${file}: ${title}`),
    ...(passed.some((test) => names(test, peer)) ? [] : [`no test with ${peer} ran and passed`]),
  ]);
  const tail = skipped.length === 0 ? '' : `, ${skipped.length} skipped`;
  return {
    complaints: passed.length === 0 ? ['no test ran'] : complaints,
    counts: `${passed.length} passed, ${having('failed').length} failed${tail}`,
  };
}
