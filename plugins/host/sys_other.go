//go:build !unix

package host

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

func killGroup(int) {}

func awaitExit(*os.Process) bool { return false }

func preferForOOM(int) {}

func residentMemory(int) int64 { return 0 }
