//go:build gpu && linux && amd64

package cuda

// #include <cudnn.h>
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// descriptor is one of cuDNN's graph API, by its backend's C interface.
type descriptor = C.cudnnBackendDescriptor_t

// descriptors makes descriptors and keeps them until they are destroyed. After a call that failed
// the others do nothing: err says which it was.
type descriptors struct {
	made []descriptor
	err  error
}

// keep keeps the first error, and what the call was for.
func (d *descriptors) keep(what, call string, status C.cudnnStatus_t) {
	if err := dnnCall(call, C.int(status)); err != nil {
		d.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (d *descriptors) create(what string, kind C.cudnnBackendDescriptorType_t) (made descriptor) {
	if d.err != nil {
		return nil
	}
	d.keep(what, "cudnnBackendCreateDescriptor", C.cudnnBackendCreateDescriptor(kind, &made))
	if d.err == nil {
		d.made = append(d.made, made)
	}
	return made
}

// set gives a descriptor the values of an attribute.
func set[T any](d *descriptors, what string, of descriptor, name C.cudnnBackendAttributeName_t,
	kind C.cudnnBackendAttributeType_t, values ...T) {
	if d.err != nil {
		return
	}
	d.keep(what, "cudnnBackendSetAttribute", C.cudnnBackendSetAttribute(of, name, kind,
		C.int64_t(len(values)), unsafe.Pointer(unsafe.SliceData(values))))
}

// get writes an attribute's values into the room there is, and returns how many there are.
func get[T any](d *descriptors, what string, of descriptor, name C.cudnnBackendAttributeName_t,
	kind C.cudnnBackendAttributeType_t, room []T) int {
	if d.err != nil {
		return 0
	}
	var count C.int64_t
	d.keep(what, "cudnnBackendGetAttribute", C.cudnnBackendGetAttribute(of, name, kind,
		C.int64_t(len(room)), &count, unsafe.Pointer(unsafe.SliceData(room))))
	return int(count)
}

func (d *descriptors) finalize(what string, of descriptor) {
	if d.err != nil {
		return
	}
	d.keep(what, "cudnnBackendFinalize", C.cudnnBackendFinalize(of))
}

// destroy destroys them, those last that others were made of.
func (d *descriptors) destroy() error {
	var all []error
	for i := len(d.made) - 1; i >= 0; i-- {
		all = append(all, dnnCall("cudnnBackendDestroyDescriptor",
			C.int(C.cudnnBackendDestroyDescriptor(d.made[i]))))
	}
	d.made = nil
	return errors.Join(all...)
}

// execute puts a plan into the stream of its handle.
func execute(handle unsafe.Pointer, plan, pack descriptor) error {
	return dnnCall("cudnnBackendExecute",
		C.int(C.cudnnBackendExecute(C.cudnnHandle_t(handle), plan, pack)))
}
