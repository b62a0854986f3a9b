// Builds the addon into build/Release with node-gyp, doing only what has changed.
//   --rebuild          from scratch
//   --sanitizer=NAME   passes -fsanitize=NAME (the runtime must then be preloaded into node)
import { runNodeGyp } from './node-gyp.mjs';

const options = process.argv.slice(2);
const sanitizer = options.find((option) => option.startsWith('--sanitizer='))?.split('=')[1];
const commands = options.includes('--rebuild') ? ['rebuild'] : ['configure', 'build'];
process.exitCode = runNodeGyp(commands, sanitizer === undefined ? {} : { sanitizer });
