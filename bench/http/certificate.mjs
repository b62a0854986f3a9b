// The certificate of --tls, the same for all servers.
import { join } from 'node:path';
import { run } from '../lib/children.mjs';
import { MissingError } from '../lib/compile.mjs';

/** Resolves to `{ certFile, keyFile }`: ECDSA with P-256, signed by itself. */
export async function makeCertificate(scratch) {
  const [certFile, keyFile] = ['cert.pem', 'key.pem'].map((file) => join(scratch, file));
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', keyFile, '-out', certFile];
  const { code, stderr } = await run('openssl', args).catch(() => {
    throw new MissingError('openssl is not installed (Debian: apt install openssl)');
  });
  if (code !== 0) throw new Error(`openssl cannot make a certificate:\n${stderr.trim()}`);
  return { certFile, keyFile };
}
