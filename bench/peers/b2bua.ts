/** The least that an application on drachtio-srf can do with a call: `createB2BUA`, and a BYE that is passed on. */
import Srf from 'drachtio-srf';
import {serve} from '../worker.ts';

/** Connects to a drachtio server as an application. */
async function connect(server: {readonly host: string; readonly port: number; readonly secret: string}): Promise<void> {
  const srf = new Srf();
  srf.invite((req, res) => {
    // What the Route names after ourselves: back to the core.
    const [, ...route] = req.get('Route').split(/\s*,\s*/);
    const uri = `${req.uri}?Route=${encodeURIComponent(route.join(','))}`;
    srf
      .createB2BUA(req, res, uri, {headers: {To: `<${req.uri}>`}, localSdpB: req.body})
      .then(({uas, uac}) => {
        uas.on('destroy', () => {
          uac.destroy();
        });
        uac.on('destroy', () => {
          uas.destroy();
        });
      })
      .catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  });
  void srf.connect(server);
  await new Promise<void>((resolve, reject) => {
    srf.on('connect', (error: unknown) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}

const services = {connect};
export type B2buaServices = typeof services;
serve(services);
