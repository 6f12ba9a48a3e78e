export default {
  files: ['test/**/*.test.ts', 'plugins/**/*.test.ts'],
  typescript: {
    rewritePaths: {'bench/': 'dist/bench/', 'lib/': 'dist/lib/', 'plugins/': 'dist/plugins/', 'test/': 'dist/test/'},
    compile: false,
  },
  timeout: '60s',
};
