import {monitorEventLoopDelay} from 'node:perf_hooks';

const resolutionMilliseconds = 20;
const nanoseconds = 1e6;

/** Measures how late this process gets to its work. Each call answers the mean since the one before, milliseconds; 0 at first. */
export function watchEventLoop(): () => number {
  const histogram = monitorEventLoopDelay({resolution: resolutionMilliseconds});
  histogram.enable();
  return () => {
    const {mean} = histogram;
    histogram.reset();
    // What is measured is the time between two samples, which is the resolution at best.
    return Number.isNaN(mean) ? 0 : Math.max(0, mean / nanoseconds - resolutionMilliseconds);
  };
}
