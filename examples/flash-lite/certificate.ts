// Certificate and key of HTTPS: read, checked on their own and against each other.

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';

import type { HttpTlsOptions } from 'io-lite/http';

import { explain, messageOf, SettingProblem } from './failures';
import { log } from './log';
import type { Place } from './place';
import type { Options } from './settings';

export type Credentials = HttpTlsOptions;

// Host and port, and what we inherit, speak HTTPS once there is a certificate; `listen` says it itself.
export function isSecureByDefault({ tlsCert, tlsKey }: Options): boolean {
  return tlsCert !== undefined || tlsKey !== undefined;
}

// Undefined when nothing of the settings is HTTPS. Throws a SettingProblem.
export async function readCredentials(options: Options): Promise<Credentials | undefined> {
  const { tlsCert, tlsKey, tlsMinVersion, listen, redirectsToHttps } = options;
  const isWanted = listen.some(({ isSecure }: Place) => isSecure);
  if (tlsCert === undefined && tlsKey === undefined) {
    if (isWanted) throw new SettingProblem('listen', 'https:// needs tls-cert and tls-key');
    if (redirectsToHttps) throw new SettingProblem('redirect-to-https', 'it needs tls-cert and tls-key');
    return undefined;
  }
  if (tlsCert === undefined) throw new SettingProblem('tls-key', 'it needs tls-cert, too');
  if (tlsKey === undefined) throw new SettingProblem('tls-cert', 'it needs tls-key, too');
  if (listen.length > 0 && !isWanted) {
    throw new SettingProblem('tls-cert', 'it is for https://, and none of listen is that');
  }
  const cert = await contentOf('tls-cert', tlsCert);
  const key = await contentOf('tls-key', tlsKey);
  const certificate = certificateOf(cert, tlsCert);
  if (!certificate.checkPrivateKey(keyOf(key, tlsKey))) {
    throw new SettingProblem('tls-key', `${tlsKey} is not the key of ${tlsCert}`);
  }
  const credentials = { cert, key, minVersion: tlsMinVersion };
  try {
    createSecureContext(credentials);  // What else is in the file, too: the chain.
  } catch (error) {
    throw new SettingProblem('tls-cert', `${tlsCert}: ${messageOf(error)}`);
  }
  if (Date.parse(certificate.validTo) < Date.now()) log(`${tlsCert} has expired: ${certificate.validTo}`);
  return credentials;
}

async function contentOf(setting: 'tls-cert' | 'tls-key', file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new SettingProblem(setting, `cannot read ${file}: ${explain(error)}`);
  }
}

function certificateOf(pem: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new SettingProblem('tls-cert', `${file} has no certificate in PEM format`);
  }
}

function keyOf(pem: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    const isLocked = /ENCRYPTED/.test(pem.toString('latin1'));  // OpenSSL has several errors for it.
    throw new SettingProblem('tls-key',
      isLocked ? `${file} has a passphrase: take it away` : `${file} has no private key in PEM format`);
  }
}
