// http/head_meaning.h: from a head that is well-formed to what it says: target, Host, framing.
//
// Ownership   borrows everything.
// Threads     a function.
// Failure     HeadError; the first in the order target, Host, lengths and codings, Connection.
// Cost        one pass over the names; the bytes of a value only where it decides something.
// May include own folder
#pragma once

#include "http/head_parser.h"

namespace iol::http {

// Fills everything in `head` that is not a range of the grammar. Internal to the head parser.
[[nodiscard]] HeadError interpretHead(const HeadText& text, RequestHead& head);

}  // namespace iol::http
