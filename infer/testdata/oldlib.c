/* A library that answers as onnxruntime 1.17.3 does: its version, and no API of a newer one. */
#include <stddef.h>
#include <stdint.h>

static const void *get_api(uint32_t version) {
  (void)version;
  return NULL;
}
static const char *get_version_string(void) { return "1.17.3"; }
static const struct {
  const void *(*get_api)(uint32_t);
  const char *(*get_version_string)(void);
} base = {get_api, get_version_string};

const void *OrtGetApiBase(void) { return &base; }
