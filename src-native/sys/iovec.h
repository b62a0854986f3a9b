// sys/iovec.h: the kernel's struct iovec, for the floors that may not include system headers.
// May include base/
#pragma once

#include <sys/uio.h>
