/** What `iol --help` says. */

const windows = `  --window W     only this one: @name or a path (a #token behind it is not needed), or the
                 beginning of its number; without it IOL_WINDOW, if set, or all that can be seen`;
const output = `  --json         the figures as JSON, all of them
  --bytes        bytes as they are, not 1.5M
  -h, --help     this text`;

const general = `iol: a look at the io-lite windows of this machine, from outside

usage: iol [COMMAND] [OPTION...]

  iol ls         the windows (what iol does without a command)
  iol show       everything of a window
  iol domains    who is in: processes and threads
  iol pools      pools: memory, limits, who may read
  iol holds      who holds what of whom, and since when
  iol channels   channels and how full they are
  iol incidents  who was cut, turned away or denied, and who sent rubbish
  iol leaks      who may be leaking
  iol top        domains, holds and channels, live

${windows}
${output}
      --version

Nobody is asked: memory is read through /proc/PID/fd, so what is stopped or broken is seen all the
same. You see the processes of your own user that are not undumpable; root sees all.

exit code: 0; 1 no window was found; 2 a usage error; 3 iol leaks found something`;

const each: Record<string, string> = {
  ls: `usage: iol ls [--window W] [--json] [--bytes]

The windows of this machine that you may see: where their host listens, its process, how many
domains live, memory in pages, limits, incidents.

${windows}
${output}`,
  show: `usage: iol show [--window W] [--json] [--bytes]

All tables of a window. With --json: the report of inspectWindows().

${windows}
${output}`,
  domains: `usage: iol domains [--window W] [--json] [--bytes]

DOMAIN   slot.epoch; a slot that is used again has a higher epoch
STATE    running, asleep (until a channel's peer rings), stopped, dead
MEMBER   as the host has it: attached, silent (cut, or dying), ended (its memory is kept for those
         who may still read it); - without a host
SINCE    since when it is a member, or is no more
[hidden] its memory may not be looked at: another user's process, or an undumpable one

${windows}
${output}`,
  pools: `usage: iol pools [--window W] [--json] [--bytes]

COMMITTED  data pages; IN USE: capacity of live buffers
BUFFERS    live: drafts, held, pending
PENDING    released by the owner and held elsewhere, as far as it has looked
UNHELD     live buffers that nobody holds who can be seen: freed when the owner next looks
MAY READ   the access list

${windows}
${output}`,
  holds: `usage: iol holds [--window W] [--json] [--bytes]

BUFFERS  held by that domain; BYTES: their capacity; HOLDS: the sum of the counts
KERNEL   buffers that the kernel may still be sending from
OLDEST   how long, at most, the oldest of another domain's buffers is held

${windows}
${output}`,
  channels: `usage: iol channels [--window W] [--json] [--bytes]

One line for each direction. MESSAGES, PAYLOAD: sent and not yet taken (a message of more than 64
slices counts without its payload); RING: what they take of it; PASSED: through the ring so far.
STATE blocked: the sender waits for room.

${windows}
${output}`,
  incidents: `usage: iol incidents [--window W] [--json]

The last 64 of the host and of each domain: who was cut (it broke a rule), turned away (a wrong
token or format, say), denied (by an access list), died (without leaving), and who was found corrupt
(it sent rubbish over a channel).

${windows}
${output}`,
  leaks: `usage: iol leaks [--pid N] [--seconds S] [--older S] [--window W] [--json] [--bytes]

Looks twice and says who may be leaking:
  unheld    live buffers that nobody holds: somebody died, and the owner has not looked since
  growing   held more and more
  old       another domain's buffer held for long
  orphaned  held of an owner that is gone, so that its memory stays

  --pid N        only domains of that process
  --seconds S    between the two looks; default 1; 0: one look, in which nothing grows
  --older S      from when on a hold is old; default 60
${windows}
${output}`,
  top: `usage: iol top [--interval S] [--window W] [--bytes]

Live; q ends it. On anything but a terminal: one frame.

  --interval S   between frames; default 1
${windows}
${output}`,
};

export const commands = Object.keys(each);

export const helpOf = (command?: string): string =>
  command === undefined ? general : `iol ${command}\n\n${each[command] ?? general}`;
