package infer

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "onnxruntime_api.h"

typedef struct {
	const char *provider, *domain, *operator, *name;
} placed_node;

// placed returns the nodes of a session, and how many these are; NULL and a message if that fails. The
// caller frees them, and the session has the texts.
static placed_node *placed(const char *library, const void *session, size_t *count, char *message, size_t size) {
	const ort_api *api = api_of(library, message, size);
	if (!api) {
		return NULL;
	}
	typedef void *(*lists)(const void *of, const void *const **parts, size_t *count);
	typedef void *(*tells)(const void *of, const char **text);
	lists subgraphs_of = (lists)api->functions[Session_GetEpGraphAssignmentInfo];
	lists nodes_of = (lists)api->functions[EpAssignedSubgraph_GetNodes];
	tells provider_of = (tells)api->functions[EpAssignedSubgraph_GetEpName];
	tells name_of = (tells)api->functions[EpAssignedNode_GetName];
	tells domain_of = (tells)api->functions[EpAssignedNode_GetDomain];
	tells operator_of = (tells)api->functions[EpAssignedNode_GetOperatorType];

	const void *const *subgraphs, *const *nodes;
	size_t all, each, room = 0;
	if (failed(api, subgraphs_of(session, &subgraphs, &all), message, size)) {
		return NULL;
	}
	for (size_t i = 0; i < all; i++) {
		if (failed(api, nodes_of(subgraphs[i], &nodes, &each), message, size)) {
			return NULL;
		}
		room += each;
	}
	placed_node *result = calloc(room + 1, sizeof(placed_node));
	if (!result) {
		snprintf(message, size, "no memory");
		return NULL;
	}
	*count = 0;
	for (size_t i = 0; i < all; i++) {
		const char *provider;
		if (failed(api, provider_of(subgraphs[i], &provider), message, size) ||
			failed(api, nodes_of(subgraphs[i], &nodes, &each), message, size)) {
			free(result);
			return NULL;
		}
		for (size_t j = 0; j < each && *count < room; j++) {
			placed_node *next = &result[(*count)++];
			next->provider = provider;
			if (failed(api, name_of(nodes[j], &next->name), message, size) ||
				failed(api, domain_of(nodes[j], &next->domain), message, size) ||
				failed(api, operator_of(nodes[j], &next->operator), message, size)) {
				free(result);
				return NULL;
			}
		}
	}
	return result;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"slipway/onnx"
)

// placementEntry is the option that has a session remember which provider has each of its nodes.
const placementEntry = "session.record_ep_graph_assignment_info"

// sizesOnCPU is onTheCPU of a session's nodes.
func sizesOnCPU(s *session, library Library, model *onnx.Model) ([]string, error) {
	nodes, err := placement(s, library)
	if err != nil {
		return nil, fmt.Errorf("which of the nodes are on CUDA: %w", err)
	}
	return onTheCPU(nodes, model)
}

// placement returns the nodes of a session that was made with placementEntry: those that are left
// of the graph behind its basic optimizations.
func placement(s *session, library Library) ([]placed, error) {
	at := sessionPointer(s)
	if at == nil {
		return nil, errors.ErrUnsupported
	}
	path := C.CString(library.Path)
	defer C.free(unsafe.Pointer(path))
	var message [512]C.char
	var count C.size_t
	found := C.placed(path, at, &count, &message[0], C.size_t(len(message)))
	if found == nil {
		return nil, errors.New(C.GoString(&message[0]))
	}
	defer C.free(unsafe.Pointer(found))
	var nodes []placed
	for _, node := range unsafe.Slice(found, count) {
		nodes = append(nodes, placed{C.GoString(node.provider), C.GoString(node.domain),
			C.GoString(node.operator), C.GoString(node.name)})
	}
	return nodes, nil
}

// sessionPointer is what onnxruntime knows the session by, which the binding keeps to itself; nil
// where it calls that otherwise.
func sessionPointer(s *session) unsafe.Pointer {
	inner := reflect.ValueOf(s.DynamicAdvancedSession).Elem().FieldByName("s")
	if inner.Kind() != reflect.Pointer {
		return nil
	}
	field := inner.Elem().FieldByName("ortSession")
	if field.Kind() != reflect.Pointer {
		return nil
	}
	return field.UnsafePointer()
}
