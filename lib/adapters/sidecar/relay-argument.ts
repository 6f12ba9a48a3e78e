import type {Config} from '../../config/load.ts';
import {packageVersion} from '../../version.ts';

type Side = Config['relay']['access'];

/** What the relay process is told (lib/sidecar/options.ts), from the `relay` section of a configuration. */
export function relayArgument(
  {node, relay}: Config,
  control: string,
): {readonly control: string} & Readonly<Record<string, unknown>> {
  const {certificateFile: cert, keyFile: key, authorityFile: ca} = relay.tls;
  const side = ({listenHost, listenPort, advertisedHost, advertisedPort, via, setup, cema, tls}: Side): object => ({
    listen: {host: listenHost, port: listenPort},
    advertise: {host: advertisedHost, port: advertisedPort},
    ...(via.uri === undefined ? {} : {via}),
    setup,
    cema,
    ...(tls.certificateFile === undefined ? {} : {tls}),
  });
  return {
    // So that a process of another version is not taken over.
    version: packageVersion(),
    node: node.name,
    control,
    ...(cert === undefined || key === undefined || ca === undefined ? {} : {tls: {cert, key, ca}}),
    access: side(relay.access),
    core: side(relay.core),
    nextHopSeconds: relay.nextHopSeconds,
    transactionSeconds: relay.responseSeconds,
    graceSeconds: relay.graceSeconds,
    exitWhenOrphanedSeconds: relay.graceSeconds + 60,
    spool: {
      directory: relay.spoolDirectory,
      messageMemoryBytes: Math.max(1, relay.spoolMemoryBytes),
      diskBytes: relay.spoolBytes,
    },
    limits: relay.limits,
  };
}
