// What is used of onnxruntime_c_api.h beside the binding, where every version keeps the places of the
// functions in OrtApi. For Linux.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

enum {
	api_version = 24,
	GetErrorMessage = 2,
	CreateTensorWithDataAsOrtValue = 49,
	CreateCpuMemoryInfo = 69,
	ReleaseStatus = 93,
	ReleaseMemoryInfo = 94,
	ReleaseValue = 96,
	AddInitializer = 150,
	AddExternalInitializers = 210,
	Session_GetEpGraphAssignmentInfo = 407,
	EpAssignedSubgraph_GetEpName = 408,
	EpAssignedSubgraph_GetNodes = 409,
	EpAssignedNode_GetName = 410,
	EpAssignedNode_GetDomain = 411,
	EpAssignedNode_GetOperatorType = 412,
	Functions,
};

typedef struct {
	const void *functions[Functions];
} ort_api;

// api_of is the API of a library that is open, and stays so; NULL and a message if it has none.
static inline const ort_api *api_of(const char *library, char *message, size_t size) {
	struct base {
		const ort_api *(*get_api)(uint32_t version);
		const char *(*get_version_string)(void);
	};
	void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
	const struct base *(*get_base)(void) = handle ? (const struct base *(*)(void))dlsym(handle, "OrtGetApiBase") : NULL;
	const ort_api *api = get_base ? get_base()->get_api(api_version) : NULL;
	if (!api) {
		snprintf(message, size, "%s has no API of version %d", library, api_version);
	}
	return api;
}

// failed copies the message of an OrtStatus and releases it. Of none it is 0.
static inline int failed(const ort_api *api, void *status, char *message, size_t size) {
	if (!status) {
		return 0;
	}
	snprintf(message, size, "%s", ((const char *(*)(void *))api->functions[GetErrorMessage])(status));
	((void (*)(void *))api->functions[ReleaseStatus])(status);
	return 1;
}
