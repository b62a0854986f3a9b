#include "base/status.h"

namespace iol {

const char* codeName(Code code) {
  switch (code) {
    case Code::Ok: return "OK";
#define IOL_ERROR(name, code, message, advice) \
  case Code::name:                             \
    return code;
#include "errors.def"
#undef IOL_ERROR
  }
  return "ERR_IOL_SYSTEM";
}

const char* codeMessage(Code code) {
  switch (code) {
    case Code::Ok: return "ok";
#define IOL_ERROR(name, code, message, advice) \
  case Code::name:                             \
    return message;
#include "errors.def"
#undef IOL_ERROR
  }
  return "";
}

}  // namespace iol
