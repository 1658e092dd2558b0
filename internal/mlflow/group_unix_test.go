//go:build unix

package mlflow

import (
	"os/exec"
	"syscall"
)

// endGroup has the command's own processes end with it.
func endGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
