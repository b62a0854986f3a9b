// http/answer_head.h: is this the beginning of an answer, as respond() wants it?
//
//   HTTP/1.1 200 OK CRLF  Name: value CRLF ...      without the empty line: Date, Connection and
//                                                   that line come from the connection
//
// Why checked: a head without its last CRLF, or with an empty line anywhere, would put the next
// header into a value or the body, and the connection out of step; so would a line end in a value.
//
// Cost        a look at each byte of it.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include "aggregate/aggregate.h"

namespace iol::http {

bool isAnswerHead(const Aggregate& head);

}  // namespace iol::http
