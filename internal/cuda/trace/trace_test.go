package trace

import (
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	kernel := Launch{Name: "add"}
	if err := kernel.Read("kernel add 3 2 256\n" +
		"touch r 7f00 16 4096 kernel add: argument\n" +
		"bytes r 7f00 64\nbytes w 8f00 32\n" +
		"access r d 1a2b 100 2 9\naccess w s ff 7 1 7\n"); err != nil {
		t.Fatal(err)
	}
	want := Launch{
		Name: "add", Grid: [2]int{3, 2}, Block: 256,
		Touches: []Touch{{Allocation: 0x7f00, Size: 64}, {Allocation: 0x8f00, Size: 32, Written: true}},
		Accesses: []Access{{Place: 0x1a2b, All: 100, Most: 2, Lines: 9},
			{Place: 0xff, Written: true, Shared: true, All: 7, Most: 1, Lines: 7}},
	}
	if !reflect.DeepEqual(kernel, want) {
		t.Errorf("read %+v, want %+v", kernel, want)
	}
	if read, written := kernel.Bytes(); read != 64 || written != 32 || !kernel.Kernel() {
		t.Errorf("%d bytes read, %d written, a kernel: %t", read, written, kernel.Kernel())
	}

	var call Launch
	if err := call.Read("convolution 1 1 32 3 28 28 8 5 5 24 24 1\n" +
		"touch w 10 256 96 cudnn: dw\ntouch w 10 256 96 cudnn: again\n"); err != nil {
		t.Fatal(err)
	}
	if c := *call.Convolution; c != (Convolution{1, 1, 32, 3, 28, 28, 8, 5, 5, 24, 24, 1}) {
		t.Errorf("the convolution is %+v", c)
	}
	touched := []Touch{{Allocation: 0x10, Offset: 256, Size: 96, Written: true}}
	if call.Kernel() || !reflect.DeepEqual(call.Touches, touched) {
		t.Errorf("it touches %+v, want %+v", call.Touches, touched)
	}

	var product Launch
	if err := product.Read("product 10 32 128\n"); err != nil || *product.Product != (Product{10, 32, 128}) {
		t.Errorf("the product is %+v, %v", product.Product, err)
	}
	for _, noted := range []string{"something 1\n", "product 1 2\n"} {
		err := new(Launch).Read(noted)
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(noted)) {
			t.Errorf("%q: %v", noted, err)
		}
	}
}
