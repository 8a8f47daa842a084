//go:build unix && !linux

package host

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate puts the process into a group of its own, where a terminal's signals do not reach it.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func awaitExit(*os.Process) bool { return false }

func preferForOOM(int) {}

func residentMemory(int) int64 { return 0 }
