package infer

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// OrtApiBase of onnxruntime_c_api.h, whose layout every version keeps.
typedef struct {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version_string)(void);
} ort_api_base;

// probe loads the library and copies its version. It returns 0, 1 when the
// library cannot be loaded (message says why), 2 when it is another library.
// A sound library stays loaded: it is about to be used, and its threads make
// unloading it unsafe.
static int probe(const char *path, char *version, size_t version_size, char *message, size_t message_size) {
	void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!handle) {
		const char *why = dlerror();
		snprintf(message, message_size, "%s", why ? why : "dlopen failed");
		return 1;
	}
	ort_api_base *(*get_base)(void) = (ort_api_base * (*)(void)) dlsym(handle, "OrtGetApiBase");
	ort_api_base *base = get_base ? get_base() : NULL;
	if (!base) {
		dlclose(handle);
		return 2;
	}
	snprintf(version, version_size, "%s", base->get_version_string());
	return 0;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// canLoad says why this program can load no library at all, nil if it can.
func canLoad() error { return nil }

// loadedVersion loads a library and asks it for its version.
func loadedVersion(path string) (string, error) {
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	var version [64]C.char
	var message [512]C.char
	switch C.probe(cPath, &version[0], C.size_t(len(version)), &message[0], C.size_t(len(message))) {
	case 1:
		return "", fmt.Errorf("%s cannot be loaded: %s", path, C.GoString(&message[0]))
	case 2:
		return "", fmt.Errorf("%s is a shared library, but not onnxruntime: it has no OrtGetApiBase",
			path)
	}
	return C.GoString(&version[0]), nil
}
