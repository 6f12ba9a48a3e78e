/** Loaded before a program (`--expose-gc --import collect.js`): SIGUSR2 collects what is garbage, so that what is left can be measured. */
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  globalThis.gc?.();
});
