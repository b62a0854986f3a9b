// nginx as it is usually set up for files.
import { nginxAvailable, startNginx } from '../nginx.mjs';

export const name = 'nginx';
export const about = 'one worker, sendfile and tcp_nopush';
export const available = nginxAvailable;
export const speaksTls = true;
export const logFormats = { combined: 'combined', 'combined-buffered': 'combined buffer=64k flush=1s', json: 'json' };

export function start(options) {
  return startNginx(options.name ?? name, 'sendfile on; tcp_nopush on;', options);
}
