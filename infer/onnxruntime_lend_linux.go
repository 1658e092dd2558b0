package infer

/*
#cgo linux LDFLAGS: -ldl
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "onnxruntime_api.h"

// lent is a file that is mapped, and its tensors until onnxruntime was given them.
typedef struct {
	const ort_api *api;
	void *memory_info;
	char *base;
	size_t size, count;
	int guard;
	struct {
		char *name;
		void *value;
		int in_place;
	} tensors[];
} lent;

// GUARDS is how many files can be lent at the same time.
#define GUARDS 16

// guarded are the addresses of files that are lent, 0 where there is none.
static struct {
	atomic_uintptr_t begin, end;
} guarded[GUARDS];
static struct sigaction passed_on; // who had the signal before
static uintptr_t page_bytes;

// on_bus_error gives zeros where a file that is lent has no bytes any more, because it was cut: what
// onnxruntime makes of them is refused once it is through. Others' signals are passed on.
static void on_bus_error(int number, siginfo_t *info, void *context) {
	uintptr_t at = (uintptr_t)info->si_addr;
	for (int i = 0; i < GUARDS; i++) {
		uintptr_t begin = atomic_load(&guarded[i].begin), end = atomic_load(&guarded[i].end);
		// Another thread may be putting a file there: the two are of one only if begin stays.
		if (begin == 0 || at < begin || at >= end || begin != atomic_load(&guarded[i].begin)) {
			continue;
		}
		char *page = (char *)(at - at % page_bytes);
		int saved = errno;
		void *zeros = mmap(page, end - (uintptr_t)page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		errno = saved;
		if (zeros != MAP_FAILED) {
			return;
		}
	}
	if (passed_on.sa_flags & SA_SIGINFO) {
		passed_on.sa_sigaction(number, info, context);
	} else if (passed_on.sa_handler != SIG_DFL && passed_on.sa_handler != SIG_IGN) {
		passed_on.sa_handler(number);
	} else {
		signal(number, SIG_DFL); // and again
	}
}

// guard has on_bus_error look after a file. Calls come one after another.
static int guard(uintptr_t begin, size_t size) {
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct sigaction now, ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigfillset(&ours.sa_mask);
	if (sigaction(SIGBUS, NULL, &now) != 0) {
		return -1;
	}
	if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_bus_error) {
		passed_on = now;
		if (sigaction(SIGBUS, &ours, NULL) != 0) {
			return -1;
		}
	}
	for (int i = 0; i < GUARDS; i++) {
		if (atomic_load(&guarded[i].begin) == 0) {
			atomic_store(&guarded[i].end, begin + size);
			atomic_store(&guarded[i].begin, begin);
			return i;
		}
	}
	errno = EBUSY;
	return -1;
}

static void unguard(int i) {
	atomic_store(&guarded[i].end, 0);
	atomic_store(&guarded[i].begin, 0);
}

// lent_free_values gives back what is held here of the tensors. onnxruntime may hold more.
static void lent_free_values(lent *l) {
	for (size_t i = 0; i < l->count; i++) {
		if (l->tensors[i].value) {
			((void (*)(void *))l->api->functions[ReleaseValue])(l->tensors[i].value);
			l->tensors[i].value = NULL;
		}
		free(l->tensors[i].name);
		l->tensors[i].name = NULL;
	}
}

// lent_close ends it once onnxruntime uses nothing of it.
static void lent_close(lent *l) {
	lent_free_values(l);
	unguard(l->guard);
	munmap(l->base, l->size);
	((void (*)(void *))l->api->functions[ReleaseMemoryInfo])(l->memory_info);
	free(l);
}

// lent_open maps a file of which so many tensors are to be lent.
static lent *lent_open(const char *library, int fd, size_t size, size_t count, char *message, size_t message_size) {
	const ort_api *api = api_of(library, message, message_size);
	if (!api) {
		return NULL;
	}
	lent *l = calloc(1, sizeof(lent) + count * sizeof(((lent *)0)->tensors[0]));
	if (!l) {
		snprintf(message, message_size, "no memory");
		return NULL;
	}
	l->api = api;
	l->size = size;
	void *status = ((void *(*)(int, int, void **))api->functions[CreateCpuMemoryInfo])(0, 0, &l->memory_info);
	if (failed(l->api, status, message, message_size)) {
		free(l);
		return NULL;
	}
	l->base = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	l->guard = l->base == MAP_FAILED ? -1 : guard((uintptr_t)l->base, size);
	if (l->guard < 0) {
		snprintf(message, message_size, "map the file: %s", strerror(errno));
		if (l->base != MAP_FAILED) {
			munmap(l->base, size);
		}
		((void (*)(void *))api->functions[ReleaseMemoryInfo])(l->memory_info);
		free(l);
		return NULL;
	}
	return l;
}

// lent_add makes a value of one tensor.
static int lent_add(lent *l, const char *name, size_t offset, size_t length, const int64_t *dims, size_t rank, int type,
	int in_place, char *message, size_t message_size) {
	void *value;
	void *status = ((void *(*)(void *, void *, size_t, const int64_t *, size_t, int, void **))
		l->api->functions[CreateTensorWithDataAsOrtValue])(
		l->memory_info, l->base + offset, length, dims, rank, type, &value);
	if (failed(l->api, status, message, message_size)) {
		return 1;
	}
	l->tensors[l->count].value = value;
	l->tensors[l->count].in_place = in_place;
	l->tensors[l->count++].name = strdup(name);
	return 0;
}

// lent_give has a session that is made with the options take the tensors: those in place as they lie in
// the file, where they stay until lent_close, and copies of the others.
static int lent_give(lent *l, void *options, char *message, size_t message_size) {
	for (size_t i = 0; i < l->count; i++) {
		const char *name = l->tensors[i].name;
		const void *value = l->tensors[i].value;
		void *status = l->tensors[i].in_place
			? ((void *(*)(void *, const char *, const void *))l->api->functions[AddInitializer])(options, name, value)
			: ((void *(*)(void *, const char **, const void **, size_t))l->api->functions[AddExternalInitializers])(
				options, &name, &value, 1);
		if (failed(l->api, status, message, message_size)) {
			return 1;
		}
	}
	return 0;
}

// lent_drop has the system forget which pages of the file were looked at. They are read again where
// that is needed, most often from its cache.
static void lent_drop(lent *l) { madvise(l->base, l->size, MADV_DONTNEED); }
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/onnx"
)

// dropInterval is how often the pages of a lent file are given back. onnxruntime packs some 100 MB
// in that time, and returns to a page for as long as it packs one tensor.
const dropInterval = 40 * time.Millisecond

// lending has loans open one after another: they share the handler of a signal.
var lending sync.Mutex

// loan is the weights of a model that a session of onnxruntime takes from the model's file, without
// a copy of this process's. Those that it packs for its kernels, the factors of products, it reads in
// place, and uses the packed ones from then on; as much of the file is in memory as it looked at in
// some milliseconds. Of others it makes its own copy. Should it go on reading the file, as it does
// where it does not pack, check sees to it.
//
// A file may be cut meanwhile. Then what is missing is read as zeros, which settle and check notice,
// and is no signal that ends the process.
type loan struct {
	file *onnx.File
	lent *C.lent

	stop chan struct{} // closed to have no more pages dropped
	done chan struct{} // closed once none are
}

// lend lends the weights that were left in a file to the session that is made with the options, in
// place those of these names. Close follows once the session and the options are destroyed.
func lend(file *onnx.File, inPlace map[string]bool, library Library,
	options *ort.SessionOptions) (*loan, error) {
	taker := optionsPointer(options)
	if taker == nil {
		return nil, errors.ErrUnsupported
	}
	path := C.CString(library.Path)
	defer C.free(unsafe.Pointer(path))
	weights := file.Weights()
	var message [512]C.char
	lending.Lock()
	lent := C.lent_open(path, C.int(file.Fd()), C.size_t(file.Size()), C.size_t(len(weights)),
		&message[0], C.size_t(len(message)))
	lending.Unlock()
	if lent == nil {
		return nil, errors.New(C.GoString(&message[0]))
	}
	for _, weight := range weights {
		name, place := C.CString(weight.Name), C.int(0)
		if inPlace[weight.Name] {
			place = 1
		}
		bad := C.lent_add(lent, name, C.size_t(weight.Offset), C.size_t(weight.Length),
			(*C.int64_t)(unsafe.SliceData(weight.Dims)), C.size_t(len(weight.Dims)), C.int(weight.Type), place,
			&message[0], C.size_t(len(message)))
		C.free(unsafe.Pointer(name))
		if bad != 0 {
			C.lent_close(lent)
			return nil, fmt.Errorf("%q: %s", weight.Name, C.GoString(&message[0]))
		}
	}
	if C.lent_give(lent, taker, &message[0], C.size_t(len(message))) != 0 {
		C.lent_close(lent)
		return nil, errors.New(C.GoString(&message[0]))
	}
	l := &loan{file: file, lent: lent, stop: make(chan struct{}), done: make(chan struct{})}
	go l.drop()
	return l, nil
}

// optionsPointer is what onnxruntime knows the options by, which the binding keeps to itself; nil
// where it calls that otherwise.
func optionsPointer(options *ort.SessionOptions) unsafe.Pointer {
	field := reflect.ValueOf(options).Elem().FieldByName("o")
	if field.Kind() != reflect.Pointer {
		return nil
	}
	return field.UnsafePointer()
}

// drop gives back again and again what pages of the file were looked at.
func (l *loan) drop() {
	defer close(l.done)
	tick := time.NewTicker(dropInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			C.lent_drop(l.lent)
		case <-l.stop:
			return
		}
	}
}

// settle follows once the session is made. It is onnx.ErrChanged where the file had not the bytes all
// along that the model was made of.
func (l *loan) settle() error {
	l.stopDropping()
	C.lent_drop(l.lent)
	return l.file.Unchanged()
}

func (l *loan) stopDropping() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	<-l.done
}

// check is onnx.ErrChanged where the file was written to since it was read first. Nothing tells
// whether the session looked at it after that.
func (l *loan) check() error { return l.file.Unwritten() }

// Close gives the memory back, once the session and its options are destroyed.
func (l *loan) Close() {
	l.stopDropping()
	C.lent_close(l.lent)
}
