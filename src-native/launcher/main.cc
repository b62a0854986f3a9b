// The launcher's executable: descriptor 3 is the socket to the server (lib/cgi/launcher.ts).
#include <utility>

#include "launcher/launcher.h"
#include "sys/launch.h"

int main() {
  iol::sys::closeOthersOnExec();
  iol::Result<iol::sys::Fd> children = iol::sys::watchChildren();
  if (!children.isOk()) return 1;
  iol::launcher::Launcher launcher(iol::sys::Fd(3), children.take());
  launcher.run();
  return 0;
}
