// channel/opening_message.h: what two domains tell each other to open a channel: a relay's body.
//
// The host passes it on without a look (control_messages.h); the order is in channels.h.
//
// Changing anything here raises kFormat (window/layout.h) and needs a line in CHANGELOG.md.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <cstdint>

#include "channel/control_messages.h"
#include "channel/ring_layout.h"

namespace iol {

constexpr uint32_t kOpeningMagic = 0x6e68'6369;  // "ichn"

enum class OpeningKind : uint32_t {
  Link = 1,  // + domain block, button
  Open,      // + the opener's ring
  Accept,    // + the answerer's consumed index, the answerer's ring
  Connect,   // + the opener's consumed index
  Refuse,
};

struct OpeningMessage {
  uint32_t magic;
  uint32_t kind;  // OpeningKind
  uint64_t id;    // Unique for who opened it.
  uint64_t ringBytes;
  uint32_t isOpeners;  // Whether the sender of this message opened the channel.
  uint32_t code;       // Of a refusal.
  char label[kChannelLabelBytes];
  uint64_t reserved;
};
static_assert(sizeof(OpeningMessage) == kRelayBodyBytes);

}  // namespace iol
