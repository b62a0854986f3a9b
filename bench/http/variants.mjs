// Subjects that are started once more in another way: with an access log, or compressing.
import { join } from 'node:path';

const variant = (subject, what, more) => ({
  ...subject,
  name: `${subject.name}+${what}`,
  about: more.about,
  base: subject.name,
  hasLog: more.hasLog,
  start: (options) => subject.start({ ...options, ...more.options(options), name: `${subject.name}+${what}` }),
});

/** A subject with `logFormats` (by name, what to write) can have a log of each. */
const logVariants = (subject) => Object.entries(subject.logFormats ?? {}).map(([what, format]) => variant(subject, what, {
  about: `the same with an access log: ${what}`,
  hasLog: true,
  options: ({ scratch }) => ({ log: { format, file: join(scratch, `${subject.name}-${what}.log`) } }),
}));

const compressVariants = (subject) => (subject.canCompress ? [variant(subject, 'compress', {
  about: 'the same with what it compresses by itself',
  options: () => ({ compress: true }),
})] : []);

/** All subjects, each followed by its variants; with `log`, those alone that have logs. */
export function expand(subjects, { log, mix }) {
  return subjects.flatMap((subject) => {
    if (log) return subject.logFormats || subject.isYardstick ? [subject, ...logVariants(subject)] : [];
    return [subject, ...(mix ? compressVariants(subject) : [])];
  });
}
