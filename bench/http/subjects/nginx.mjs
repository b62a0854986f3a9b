// nginx as it is usually set up for files.
import { nginxAvailable, startNginx } from '../nginx.mjs';

export const name = 'nginx';
export const about = 'one worker, sendfile and tcp_nopush';
export const available = nginxAvailable;

export function start(options) {
  return startNginx(name, 'sendfile on; tcp_nopush on;', options);
}
