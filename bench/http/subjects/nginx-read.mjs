// nginx reading files into its own buffers: fewer system calls for a small file.
import { nginxAvailable, startNginx } from '../nginx.mjs';

export const name = 'nginx-read';
export const about = 'one worker, sendfile off';
export const available = nginxAvailable;
export const speaksTls = true;

export function start(options) {
  return startNginx(name, 'sendfile off;', options);
}
