#include "pool/access_list.h"

#include <algorithm>

namespace iol {

bool setLabel(char (&label)[kDomainLabelBytes], const char* text) {
  char made[kDomainLabelBytes] = {};
  for (size_t at = 0; text[at] != 0; at++) {
    if (at + 1 == kDomainLabelBytes || text[at] <= ' ' || text[at] > '~') return false;
    made[at] = text[at];
  }
  std::copy_n(made, kDomainLabelBytes, label);
  return true;
}

bool isValidLabel(const char (&label)[kDomainLabelBytes]) {
  bool hasEnded = false;
  for (const char letter : label) {
    if (letter == 0) {
      hasEnded = true;
    } else if (hasEnded || letter <= ' ' || letter > '~') {
      return false;
    }
  }
  return hasEnded;
}

bool sameLabel(const char (&one)[kDomainLabelBytes], const char (&other)[kDomainLabelBytes]) {
  return std::equal(one, one + kDomainLabelBytes, other);
}

bool AccessList::add(AccessEntry::Kind kind, uint32_t id) {
  if (count == kAccessEntriesMax) return false;
  entries[count].kind = kind;
  entries[count].id = id;
  count++;
  return true;
}

bool AccessList::addLabel(const char* label) {
  if (count == kAccessEntriesMax || label[0] == 0) return false;
  if (!setLabel(entries[count].label, label)) return false;
  entries[count].kind = AccessEntry::Kind::Label;
  entries[count].id = 0;
  count++;
  return true;
}

bool AccessList::isValid() const {
  if (count > kAccessEntriesMax) return false;
  return std::all_of(entries, entries + count, [](const AccessEntry& entry) {
    switch (entry.kind) {
      case AccessEntry::Kind::Uid:
      case AccessEntry::Kind::Gid:
      case AccessEntry::Kind::Pid: return true;
      case AccessEntry::Kind::Label: return entry.label[0] != 0 && isValidLabel(entry.label);
    }
    return false;
  });
}

bool AccessList::allows(const Credentials& who) const {
  if (count == 0) return true;
  return std::any_of(entries, entries + count, [&who](const AccessEntry& entry) {
    switch (entry.kind) {
      case AccessEntry::Kind::Uid: return entry.id == who.uid;
      case AccessEntry::Kind::Gid:
        return entry.id == who.gid ||
               std::find(who.groups.begin(), who.groups.end(), entry.id) != who.groups.end();
      case AccessEntry::Kind::Pid: return entry.id == who.pid;
      case AccessEntry::Kind::Label: return sameLabel(entry.label, who.label);
    }
    return false;
  });
}

}  // namespace iol
