package infer

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// A Device is what a runtime is asked to run on.
type Device string

const (
	// DeviceAuto runs on CUDA when there is a sign of it, else on the CPU.
	DeviceAuto Device = "auto"
	// DeviceCPU runs on the CPU.
	DeviceCPU Device = "cpu"
	// DeviceCUDA runs on the first NVIDIA GPU or fails.
	DeviceCUDA Device = "cuda"
)

// ParseDevice returns the device of that name.
func ParseDevice(name string) (Device, error) {
	switch device := Device(name); device {
	case DeviceAuto, DeviceCPU, DeviceCUDA:
		return device, nil
	}
	return "", fmt.Errorf("unknown device %q: auto, cpu or cuda", name)
}

// CUDASign returns what speaks for an NVIDIA GPU and its driver on this machine,
// a device node or the driver's library, and "" when nothing does. It loads
// nothing: whether CUDA works is known only once a session is made.
func CUDASign() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	if visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set &&
		(visible == "" || visible == "-1") {
		return ""
	}
	for _, node := range []string{"/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"} {
		if _, err := os.Stat(node); err == nil {
			return node
		}
	}
	folders := append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")),
		"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
		"/usr/lib/wsl/lib")
	for _, folder := range folders {
		file := filepath.Join(folder, "libcuda.so.1")
		if _, err := os.Stat(file); strings.TrimSpace(folder) != "" && err == nil {
			return file
		}
	}
	return ""
}
